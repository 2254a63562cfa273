"""Fetches the protos that ours import, from the packages that carry them, into `third_party/` (ignored by git).

The Google ones lie in the installed `googleapis-common-protos` wheel. `buf/validate/validate.proto` is in no wheel: it
is taken from the protovalidate 1.2.0 source distribution, whose hash is pinned in `codegen/third_party.txt`.
"""

import subprocess
import sys
import tarfile
import tempfile
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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


def main() -> None:
    """Fill `third_party/`: `protos/` for buf, `python/` for the one module that our code imports from there."""
    for name in GOOGLE:
        target = PROTOS / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(resources.files("google").joinpath(name.removeprefix("google/")).read_bytes())
    (PROTOS / VALIDATE).parent.mkdir(parents=True, exist_ok=True)
    (PROTOS / VALIDATE).write_bytes(_validate_proto())
    PYTHON.mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"--python_out={PYTHON}", VALIDATE], check=True
    )


def _validate_proto() -> bytes:
    if (PROTOS / VALIDATE).exists():
        return (PROTOS / VALIDATE).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            # Only the file is wanted; nothing is installed.
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "protovalidate",
             "--require-hashes", "--dest", folder, "-r", str(ROOT / "codegen" / "third_party.txt")],
            check=True,
        )  # fmt: skip
        (archive,) = Path(folder).glob("protovalidate-*.tar.gz")
        with tarfile.open(archive) as tar:
            (member,) = [name for name in tar.getnames() if name.endswith(f"upstream/proto/{VALIDATE}")]
            source = tar.extractfile(member)
            assert source is not None
            return source.read()


if __name__ == "__main__":
    main()
