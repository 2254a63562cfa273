#!/usr/bin/env bash
# Removes what make made. Called by make. What is begun is out of the way in one step each: whenever this is broken off,
# nothing that is half there is taken for whole.
set -euo pipefail
cd "$(dirname "$0")/.."

exec 9< .
flock --nonblock 9 || { echo "clean: a setup is at work in this folder: wait for it, or end it." >&2; exit 1; }
if [ -e .weft/lock ] && ! flock --nonblock .weft/lock true; then
  echo "clean: a mesh (process $(cat .weft/lock)) runs in .weft: stop it first, with python -m deploy.local stop." >&2
  exit 1
fi

rm -f .venv/ready
for folder in .weft .venv third_party; do
  if [ -e "$folder" ]; then mv -- "$folder" "$folder.$$.gone"; fi
done
echo "clean: removing .venv and .weft …"
shopt -s nullglob dotglob
for note in *.gone/postgres/"data is elsewhere"; do
  if [ -s "$note" ]; then rm -rf -- "$(head -n 1 "$note")"; fi
done
rm -rf -- *.gone build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
