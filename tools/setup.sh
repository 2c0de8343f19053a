#!/usr/bin/env bash
# Installs what the build needs and this machine lacks (Debian 12 or 13, Ubuntu 24.04 or a relative of them); packages
# named as arguments, too. What is optional is left out where it is not to be had.
set -euo pipefail

# Ubuntu and its relatives have a name of their own for the library of JPEG.
jpeg=libjpeg62-turbo-dev
[ ! -r /etc/os-release ] || [[ " $(. /etc/os-release && echo "$ID ${ID_LIKE:-}") " != *" ubuntu "* ]] || jpeg=libjpeg-turbo8-dev

packages=(build-essential cmake ninja-build pkg-config
  libopenblas-openmp-dev libfmt-dev doctest-dev libcli11-dev nlohmann-json3-dev libtomlplusplus-dev
  libstb-dev libspng-dev "$jpeg" libwebp-dev liblmdb-dev libmd-dev libzip-dev zlib1g-dev libjs-dygraphs "$@")
optional=(libopenmpi-dev openmpi-bin) # for processes that mpirun starts

# missing PACKAGE...: those of them that are not installed.
missing() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || echo "$package"
  done
}
mapfile -t required < <(missing "${packages[@]}")
mapfile -t wanted < <(missing "${optional[@]}")
[ $((${#required[@]} + ${#wanted[@]})) -eq 0 ] && exit 0

# cannot REASON: ends in failure, unless all that is missing is optional.
cannot() {
  [ ${#required[@]} -eq 0 ] && exit 0
  echo "setup: $1: ${required[*]}" >&2
  exit 2
}
command -v apt-get >/dev/null || cannot "this is not a Debian system; please install the equivalents of"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || cannot "as root, apt-get install"
  as_root=(sudo)
fi
get() {
  echo "setup: installing $*"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
"${as_root[@]}" apt-get update -qq || cannot "apt-get update fails; to be installed are"
[ ${#required[@]} -eq 0 ] || get "${required[@]}"
[ ${#wanted[@]} -eq 0 ] || get "${wanted[@]}" || echo "setup: without ${wanted[*]}, which are optional"
