#!/usr/bin/env bash
# Installs what the build needs and this machine lacks (Debian 12 or a relative of it); packages named as arguments, too.
set -euo pipefail

packages=(build-essential cmake ninja-build pkg-config clang-format
  libopenblas-openmp-dev libfmt-dev doctest-dev libcli11-dev nlohmann-json3-dev libtomlplusplus-dev
  libstb-dev libspng-dev libjpeg62-turbo-dev libwebp-dev liblmdb-dev libmd-dev libzip-dev zlib1g-dev libjs-dygraphs "$@")

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup: this is not a Debian system; please install the equivalents of: ${missing[*]}" >&2
  exit 2
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: as root, run: apt-get install ${missing[*]}" >&2; exit 2; }
  as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
