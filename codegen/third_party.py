"""Fetches the protos that ours import, from the packages that carry them, into `third_party/` (ignored by git).

The Google ones are in the installed `googleapis-common-protos` wheel. `buf/validate/validate.proto` is in no wheel: it
is read from the protovalidate 1.2.0 source distribution, whose hash is pinned in `codegen/third_party.txt`. `pip
download` would build that package to learn its metadata, with tools that nobody pinned; here the archive is only read.
"""

import hashlib
import io
import re
import subprocess
import sys
import tarfile
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIN = ROOT / "codegen" / "third_party.txt"
PROTOS = ROOT / "third_party" / "protos"
PYTHON = ROOT / "third_party" / "python"
GOOGLE = [
    "google/api/annotations.proto",
    "google/api/field_behavior.proto",
    "google/api/http.proto",
    "google/api/httpbody.proto",
    "google/rpc/code.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
]
VALIDATE = "buf/validate/validate.proto"
VALIDATE_SHA256 = "817951eab518442950f1982be24b2c3154b214b40e42f49b915cbf5181e6ee80"
"""Of the proto itself, so that a file that a broken run left is noticed."""


class FetchError(Exception):
    """The archive could not be had. The message is one sentence with a remedy."""


def main() -> None:
    """Fill `third_party/`: `protos/` for buf, `python/` for the one module that our code imports from there."""
    for name in GOOGLE:
        _write(PROTOS / name, resources.files("google").joinpath(name.removeprefix("google/")).read_bytes())
    try:
        _write(PROTOS / VALIDATE, _validate_proto())
    except FetchError as error:
        sys.exit(f"setup: {error}")
    PYTHON.mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"--python_out={PYTHON}", VALIDATE], check=True
    )


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}")
    draft.write_bytes(content)
    draft.replace(target)


def _validate_proto() -> bytes:
    if (PROTOS / VALIDATE).exists():
        content = (PROTOS / VALIDATE).read_bytes()
        if hashlib.sha256(content).hexdigest() == VALIDATE_SHA256:
            return content
    requirement, digest = re.fullmatch(r"(\S+) --hash=sha256:([0-9a-f]{64})\s*", PIN.read_text()).groups()  # type: ignore[union-attr]
    return proto_in(fetch(requirement, digest))


def proto_in(archive: bytes) -> bytes:
    """`validate.proto` from the source distribution. Raises `FetchError` where it is another than the pinned one."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        (member,) = [name for name in tar.getnames() if name.endswith(f"upstream/proto/{VALIDATE}")]
        source = tar.extractfile(member)
        assert source is not None
        content = source.read()
    if hashlib.sha256(content).hexdigest() != VALIDATE_SHA256:
        raise FetchError(f"{member} is not the file that codegen/third_party.py pins: change both pins together.")
    return content


def fetch(requirement: str, sha256: str) -> bytes:
    """The source distribution of `name==version`, as bytes; nothing of it is run. Raises `FetchError`.

    By pip's own client, which knows what this machine says about package indexes: its configuration files, `PIP_…`,
    certificates, proxies, credentials, folders. Those modules are pip's private ones (docs/decisions/0068).
    """
    from pip._internal.commands import create_command
    from pip._internal.exceptions import PipError

    name, _, version = requirement.partition("==")
    command = create_command("download")
    options, _ = command.parse_args(["--quiet", "--no-deps", "--no-binary", name])
    try:
        with command.main_context():
            session = command.get_default_session(options)  # type: ignore[attr-defined]
            finder = command._build_package_finder(options, session)  # type: ignore[attr-defined]
            found = [c.link for c in finder.find_all_candidates(name) if str(c.version) == version]
            if not found:
                raise FetchError(
                    f"no package index that pip knows of here has the source of {requirement}: name one that has with "
                    "PIP_INDEX_URL or PIP_FIND_LINKS."
                )
            reply = session.get(found[0].url_without_fragment, headers={"Accept-Encoding": "identity"})
            reply.raise_for_status()
            content: bytes = reply.content
    except (PipError, OSError) as error:  # requests' errors are OSErrors
        raise FetchError(f"the source of {requirement} could not be fetched ({error}): try again.") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FetchError(
            f"the source of {requirement} has another SHA-256 than codegen/third_party.txt: do not use it."
        )
    return content


if __name__ == "__main__":
    main()
