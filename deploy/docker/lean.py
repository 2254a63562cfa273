"""Makes the images small, while they are built: `python lean.py root TARGET FOLDER…`, `… strip FOLDER…`, `… settle FOLDER…`.

`root` lays out a root file system with Python and the libraries that Python and the modules below the folders load, and
nothing else: no shell, no package manager. `strip` takes debugging symbols from the modules. `settle`
takes away what is a matter of the checkout and not of the commit. Needs Debian and Linux.
"""

import compileall
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

PYTHON = Path("/usr/local")
MODULES = PYTHON / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
UNUSED = {
    "__pycache__", "config", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tests",
    "tkinter", "turtledemo", "venv",
}  # fmt: skip
LOADED_BY_NAME = ("libgcc_s.so.1", "libnss_dns.so.2", "libnss_files.so.2")
"""Libraries that glibc opens while it runs, so that no program names them."""
COPIED = (
    "/etc/debian_version", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/nsswitch.conf",
    "/etc/os-release", "/etc/protocols", "/etc/services", "/etc/ssl", "/usr/lib/os-release", "/usr/lib/ssl",
    "/usr/share/ca-certificates",
)  # fmt: skip
MERGED = ("/bin", "/lib", "/lib64", "/sbin")
USER = "weft:x:10001:10001::/opt/weft:/sbin/nologin\n"
_64_BIT = b"\x7fELF\x02"


def root(target: Path, folders: Iterable[Path]) -> None:
    """Lay out the root file system below `target`, which is not there yet."""
    target.mkdir()
    for path in (link for link in map(Path, MERGED) if link.is_symlink()):
        (target / path.relative_to("/")).symlink_to(path.readlink())
    programs = [*_python(), *(file for folder in folders for file in _binaries(folder))]
    libraries = {library for program in programs for library in _needs(program)} | set(_by_name())
    system = [path for name in COPIED for path in _with_content(Path(name))]
    for path in sorted({*_python(), *(found for library in libraries for found in _chain(library)), *system}):
        _copy(path, target)
    _accounts(target)
    _packages(target, [path for path in libraries if not path.is_relative_to(PYTHON)])
    strip([target / "usr/local"])
    compileall.compile_dir(
        target / MODULES.relative_to("/"),
        quiet=1,
        stripdir=target,
        prependdir="/",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


def strip(folders: Iterable[Path]) -> None:
    """Cut what is behind the loaded segments of each binary: symbols and section headers, which only debuggers read."""
    for path in (file for folder in folders for file in _binaries(folder)):
        content = path.read_bytes()
        (table,) = struct.unpack_from("<Q", content, 32)
        size, count = struct.unpack_from("<HH", content, 54)
        ends = (sum(struct.unpack_from("<Q24xQ", content, table + number * size + 8)) for number in range(count))
        header = bytearray(content[: max(ends)])
        struct.pack_into("<Q", header, 40, 0)  # where the section headers are
        struct.pack_into("<HH", header, 60, 0, 0)  # how many, and which one has their names
        path.write_bytes(header)


def settle(folders: Iterable[Path]) -> None:
    """Modes as git knows them, and no folder in which nothing is: the same commit makes the same layers from any checkout."""
    for folder in folders:
        for name, inner, files in os.walk(folder, topdown=False):
            for file in (path for path in (Path(name, file) for file in files) if not path.is_symlink()):
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
            if files or any(Path(name, one).exists() for one in inner):
                Path(name).chmod(0o755)
            else:
                Path(name).rmdir()


def _python() -> Iterator[Path]:
    yield from sorted((PYTHON / "bin").glob("python*"))
    yield from sorted((PYTHON / "lib").glob("libpython*"))
    for folder, folders, names in os.walk(MODULES):
        folders[:] = sorted(name for name in folders if name not in UNUSED and not name.startswith("config-"))
        yield from (Path(folder) / name for name in sorted(names) if "test" not in name or not name.endswith(".so"))


def _binaries(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(5) == _64_BIT:
                    yield path


def _needs(program: Path) -> Iterator[Path]:
    with program.open("rb") as file:
        if file.read(5) != _64_BIT:
            return
    listed = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
    for line in listed.splitlines():
        if (found := re.search(r"(/\S+) \(0x", line)) and not found[1].startswith("/packages"):
            yield Path(found[1])


def _by_name() -> Iterator[Path]:
    for folder in sorted(Path("/usr/lib").glob("*-linux-gnu*")):
        yield from (folder / name for name in LOADED_BY_NAME if (folder / name).exists())


def _chain(path: Path) -> Iterator[Path]:
    """A path and what its links lead to, with its folders resolved."""
    path = path.parent.resolve() / path.name
    yield path
    if path.is_symlink():
        yield from _chain(path.parent / path.readlink())


def _with_content(path: Path) -> Iterator[Path]:
    yield from _chain(path)
    yield from (sorted(found for found in path.rglob("*") if found.is_file()) if path.is_dir() else ())


def _copy(path: Path, target: Path) -> None:
    place = target / path.relative_to("/")
    if path.is_dir() and not path.is_symlink():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink():
        shutil.copy2(path, place, follow_symlinks=False)


def _accounts(target: Path) -> None:
    (target / "etc/passwd").write_text(f"root:x:0:0:root:/root:/sbin/nologin\n{USER}")
    (target / "etc/group").write_text("root:x:0:\nweft:x:10001:\n")
    for name in ("dev", "opt/weft", "proc", "run", "sys", "tmp"):
        (target / name).mkdir(parents=True, exist_ok=True)
    (target / "tmp").chmod(0o1777)


def _packages(target: Path, libraries: Iterable[Path]) -> None:
    """Say which Debian packages the libraries are from, where scanners of images look for it."""
    owners = {"ca-certificates"}
    for library in libraries:
        for path in (library, library.resolve(), Path("/lib", *library.resolve().parts[3:])):
            found = subprocess.run(["dpkg-query", "-S", path], check=False, capture_output=True, text=True).stdout
            owners |= {line.partition(":")[0] for line in found.splitlines()}
    place = target / "var/lib/dpkg/status.d"
    place.mkdir(parents=True)
    for owner in sorted(owners):
        said = subprocess.run(["dpkg-query", "-s", owner], check=True, capture_output=True, text=True).stdout
        (place / owner).write_text(said)


if __name__ == "__main__":
    verb, *places = sys.argv[1:]
    if verb == "root":
        root(Path(places[0]), map(Path, places[1:]))
    elif verb == "settle":
        settle(map(Path, places))
    else:
        strip(map(Path, places))
