#!/usr/bin/env bash
# Makes .venv with the locked packages and third_party/ with the protos that ours import. Called by make; safe to repeat.
set -eu
cd "$(dirname "$0")/.."
fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "Python 3.11 or newer is needed and '$PYTHON' is not it; install it (Debian: apt-get install python3 python3-venv) or say make PYTHON=/path/to/python3.11."
"$PYTHON" -c 'import ensurepip' 2>/dev/null ||
  fail "this Python cannot make virtual environments; install its venv package (Debian: apt-get install python3-venv)."
[ "$(df -Pm . | awk 'NR==2 {print $4}')" -ge 2000 ] ||
  fail "less than 2 GB are free on this disk and .venv takes 1.3 GB; make room, or clone elsewhere."

echo "setup: making .venv (first time: about two minutes) …"
"$PYTHON" -m venv .venv || fail "could not write .venv here; is the folder yours?"
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$PWD" "$PWD/gen/python" "$PWD/clients/python/src" "$PWD/third_party/python" > "$site/weft.pth"
echo "setup: installing $(grep -c '^[a-z].*==' requirements.lock) locked packages …"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock ||
  fail "the packages could not be installed; see above. Without a network a package mirror can be named with PIP_INDEX_URL."
echo "setup: fetching the protos that ours import …"
.venv/bin/python -m codegen.third_party || fail "the protos of others could not be fetched; see above."
touch .venv/ready
echo "setup: done"
