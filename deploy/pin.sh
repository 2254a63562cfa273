#!/bin/bash
# Names each image of others that has none by the digest that its tag has now: a tag can be moved, a digest cannot.
set -euo pipefail
cd "$(dirname "$0")/.."
files=(deploy/docker/Dockerfile deploy/compose.yaml deploy/k8s/components/development-data/servers.yaml)
unpinned='(FROM|image:) [a-z0-9./-]+:[0-9a-z][A-Za-z0-9._-]*( |$)'
for image in $(grep -hoE "$unpinned" "${files[@]}" | cut -d ' ' -f 2 | sort --unique); do
  digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "pin: $image has no digest: $digest" >&2; exit 1; }
  sed --regexp-extended --in-place "s#((FROM|image:) ${image//./\\.})( |\$)#\\1@$digest\\3#" "${files[@]}"
  echo "$image@$digest"
done
