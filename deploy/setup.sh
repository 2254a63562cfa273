#!/usr/bin/env bash
# Makes .venv with the locked packages and third_party/ with the protos that ours import. Called by make; safe to repeat.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }
is_done() {
  for source in requirements.lock codegen/third_party.py codegen/third_party.txt; do
    if [ ! -e .venv/ready ] || [ "$source" -nt .venv/ready ]; then return 1; fi
  done
}

# One at a time in this tree; the lock is the folder itself, so that nothing is left of it.
exec 9< .
if ! flock --nonblock 9; then
  echo "setup: another setup is at work in this folder; waiting for it …"
  flock 9
  if is_done; then exit 0; fi
fi

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "Python 3.11 or newer is needed and '$PYTHON' is not it; install it (Debian: apt-get install python3 python3-venv) or run make PYTHON=/path/to/python3.11."
"$PYTHON" -c 'import ensurepip' 2>/dev/null ||
  fail "this Python cannot make virtual environments; install its venv package (Debian: apt-get install python3-venv)."
[ "$(df -Pm . | awk 'NR==2 {print $4}')" -ge 2000 ] ||
  fail "less than 2 GB are free on this disk and .venv takes 1.3 GB; make room, or clone elsewhere."

echo "setup: making .venv (first time: about two minutes) …"
"$PYTHON" -m venv .venv || fail "could not write .venv here; is the folder yours, and not read-only?"
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$PWD" "$PWD/gen/python" "$PWD/clients/python/src" "$PWD/third_party/python" > "$site/weft.pth" ||
  fail "could not write .venv here; is the folder yours, and not read-only?"
count=$(grep -c '^[a-z].*==' requirements.lock)
echo "setup: installing $count locked packages …"
.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements.lock |
  awk -v count="$count" '
    /^Collecting/ { if (++n % 20 == 0) { printf "setup:   %d of %d fetched …\n", n, count; fflush() } }
    /^Installing/ { print "setup:   unpacking them …"; fflush() }' ||
  fail "the packages could not be installed; see above. Without a network a package mirror can be named with PIP_INDEX_URL."
echo "setup: fetching the protos that ours import …"
.venv/bin/python -m codegen.third_party || fail "the protos of others could not be fetched; see above."
touch .venv/ready
echo "setup: done"
