#!/usr/bin/env bash
# tools/choose_device.sh on machines of every kind: their nvidia-smi, nvcc and cmake are played by scripts.
#   tests/test_choose_device.sh
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# expect WANTED SCRIPTS...: what is printed and set on a machine that has these scripts. NAME.KIND plays NAME.
expect() {
  local wanted=$1 machine=$work/machine name got
  rm -rf "$machine"
  mkdir -p "$machine"
  for name in bash sed cat cksum nproc; do ln -s "$(command -v "$name")" "$machine/$name"; done
  for name in "${@:2}"; do cp "$work/$name" "$machine/${name%%.*}"; done
  got=$(PATH=$machine CUDA_HOME=$work/none bash -euo pipefail -c '
    . "$1/tools/choose_device.sh"
    choose_device
    echo "$preset $build $device"' - "$root" 2>&1) || got+=" (exit $?)"
  [ "$got" = "$wanted" ] && return
  printf 'with %s\n  wanted: %s\n  got:    %s\n' "${*:2}" "$wanted" "$got"
  failures=1
}

script() { printf '#!/usr/bin/env bash\n%s\n' "$2" >"$work/$1" && chmod +x "$work/$1"; }
script nvidia-smi 'echo "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)"; echo "GPU 1: other"'
script nvidia-smi.none 'echo "No devices found."'
script nvidia-smi.broken 'echo "NVIDIA-SMI has failed" >&2; exit 9'
script nvcc ':'
script cmake '[ "$2" = release ] || [ -n "$CUDACXX" ]'
script cmake.no_cudnn '
[ "$2" = cuda ] || exit 0
printf "%s\n" "-- Found OpenMP" "CMake Error at CMakeLists.txt:55 (message):" "  DAMC_CUDA is on and cuDNN 9 was not found" "" >&2
exit 1'

# built PROGRAM WANTED [AGAIN]: what is printed where the GPU is chosen and `damc` does as PROGRAM says, the second time AGAIN.
built() {
  local machine=$work/machine got wanted
  rm -rf "$machine"
  mkdir -p "$machine/build-cuda/bin" "$machine/build"
  for name in bash sed cat cksum nproc; do ln -s "$(command -v "$name")" "$machine/$name"; done
  for name in nvidia-smi nvcc; do cp "$work/$name" "$machine/$name"; done
  script cmake.build "echo \"cmake \$*\"; $building"
  cp "$work/cmake.build" "$machine/cmake"
  script damc "$1"
  cp "$work/damc" "$machine/build-cuda/bin/damc"
  for run in first second; do
    got=$(cd "$machine" && PATH=$machine bash -euo pipefail -c '
      . "$1/tools/choose_device.sh"
      choose_device
      built_device damc_tool
      echo "$preset $build $device"' - "$root" 2>&1) || got+=" (exit $?)"
    wanted=$2
    [ "$run" = first ] || wanted=${3:-$2}
    [ "$(grep -vE '^(device:|$)' <<<"$got")" = "$wanted" ] && continue
    printf '%s with damc %s\n  wanted: %s\n  got:    %s\n' "$run" "$1" "$wanted" "$got"
    failures=1
  done
}

cpu=$'release build cpu'
expect "device: cpu (nvidia-smi finds no GPU)"$'\n'"$cpu" cmake
expect "device: cpu (nvidia-smi finds no GPU)"$'\n'"$cpu" nvidia-smi.none nvcc cmake
expect "device: cpu (nvidia-smi finds no GPU)"$'\n'"$cpu" nvidia-smi.broken nvcc cmake
expect "device: cpu (there is a GPU, but no nvcc; install the CUDA toolkit 12.8 or newer, or set CUDA_HOME)"$'\n'"$cpu" \
  nvidia-smi cmake
expect "device: cpu (there is a GPU, but 'cmake --preset cuda' fails: DAMC_CUDA is on and cuDNN 9 was not found)"$'\n'"$cpu" \
  nvidia-smi nvcc cmake.no_cudnn
expect "device: cuda (GPU 0: NVIDIA H100 80GB HBM3, nvcc and cuDNN are there)"$'\n'"cuda build-cuda cuda" nvidia-smi nvcc cmake
DAMC_DEVICE=cpu expect "device: cpu (DAMC_DEVICE=cpu)"$'\n'"$cpu" nvidia-smi nvcc cmake

jobs=$(. "$root/tools/choose_device.sh" && compilers) building=:
made="cmake --build build-cuda -j $jobs --target damc_tool"
good="$made
testing the GPU
info --check cuda
cuda build-cuda cuda"
built 'echo "$*"' "$good" "$made
cuda build-cuda cuda"
built 'echo "$*"; exit 1' "$made
testing the GPU
info --check cuda
The GPU does not compute as it should here; please report the lines above. The CPU is used in its place.
cmake --build build -j $jobs --target damc_tool
release build cpu"
building='[ "$2" != build-cuda ]'
built 'echo "$*"' "$made
The build for the GPU fails here; please report the lines above. The CPU is used in its place.
cmake --build build -j $jobs --target damc_tool
release build cpu"
building='[ "$1" != --build ]'
built 'echo "$*"' "$made
The build for the GPU fails here; please report the lines above. The CPU is used in its place.
cmake --build build -j $jobs --target damc_tool (exit 1)"

# compiling WANTED KIB MAX LIMIT: how many compilers 64 processors run with so much memory free and such limits of a container.
compiling() {
  local machine=$work/memory got
  rm -rf "$machine"
  mkdir -p "$machine"/{proc,sys/fs/cgroup/memory}
  printf 'MemTotal:       99999999 kB\nMemAvailable:   %s kB\n' "$2" >"$machine/proc/meminfo"
  [ "$3" = none ] || echo "$3" >"$machine/sys/fs/cgroup/memory.max"
  [ "$4" = none ] || echo "$4" >"$machine/sys/fs/cgroup/memory/memory.limit_in_bytes"
  got=$(nproc() { echo 64; } && . "$root/tools/choose_device.sh" && compilers "$machine")
  [ "$got" = "$1" ] && return
  echo "memory $2, $3, $4: $got compilers, wanted: $1"
  failures=1
}
compiling 64 134217728 none none
compiling 23 25000000 max none
compiling 4 134217728 4294967296 none
compiling 3 134217728 max 3999999999
compiling 64 134217728 none 9223372036854771712
compiling 1 400000 max none
exit $failures
