# Sourced by quickstart.sh and test.sh: the GPU where there is one that can be built for, the CPU otherwise. Sets
# `preset` (of CMake), `build` (its folder, configured) and `device`, and prints which and why. DAMC_DEVICE=cpu takes the
# CPU in any case. built_device then builds and tests what was chosen.
choose_device() {
  local why gpu log
  preset=release build=build device=cpu
  if [ "${DAMC_DEVICE:-}" = cpu ]; then
    why="DAMC_DEVICE=cpu"
  elif ! gpu=$(nvidia-smi -L 2>/dev/null) || [[ $gpu != "GPU "* ]]; then
    why="nvidia-smi finds no GPU"
  elif ! CUDACXX=$(command -v nvcc || command -v "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"); then
    why="there is a GPU, but no nvcc; install the CUDA toolkit 12.8 or newer, or set CUDA_HOME"
  elif ! log=$(CUDACXX=$CUDACXX cmake --preset cuda -G Ninja 2>&1); then
    # CMake's reason is what stands indented below the first line of its error.
    why="there is a GPU, but 'cmake --preset cuda' fails:"
    why+=" $(sed -n '/^CMake Error/,$ { /^  /{ s/^ *//p; q } }' <<<"$log")"
  else
    preset=cuda build=build-cuda device=cuda
    why="${gpu%% (UUID*}, nvcc and cuDNN are there"
  fi
  [ "$preset" = cuda ] || cmake --preset "$preset" -G Ninja >/dev/null
  echo "device: $device ($why)"
}

# compilers [ROOT]: how many may run at a time: one for each processor, but with a gigabyte of memory for each, of what is free
# or of what a container may take. /proc and /sys are looked for in ROOT.
compilers() {
  local count gib limit file
  count=$(nproc)
  limit=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' "${1:-}/proc/meminfo")
  gib=$((limit >> 20))
  for file in memory.max memory/memory.limit_in_bytes; do # of control groups' second version, and of their first
    if read -r limit 2>/dev/null <"${1:-}/sys/fs/cgroup/$file" && [[ $limit =~ ^[0-9]{1,18}$ ]]; then
      gib=$((limit >> 30 < gib ? limit >> 30 : gib))
    fi
  done
  gib=$((gib > 0 ? gib : 1))
  echo $((gib < count ? gib : count))
}

# build_targets [TARGET...]: these, or all, in the folder that is chosen.
build_targets() { cmake --build "$build" -j "$(compilers)" ${1:+--target "$@"}; }

# on_cpu_instead WHY [TARGET...]: chooses the CPU, and builds for it.
on_cpu_instead() {
  echo "
$1; please report the lines above. The CPU is used in its place." >&2
  preset=release build=build device=cpu
  cmake --preset "$preset" -G Ninja >/dev/null
  build_targets "${@:2}"
}

# What choose_device chose, once it is built, has to compute: the program tests itself on the GPU, once for each build and
# driver. Where the build or the test fails that is said, and the CPU takes the GPU's place.
#   built_device [TARGET...]    builds these targets, or all
built_device() {
  local mark key
  if [ "$device" = cpu ]; then
    build_targets "$@"
    return
  fi
  if ! build_targets "$@"; then
    on_cpu_instead "The build for the GPU fails here" "$@"
    return
  fi
  mark=$build/device-checked
  key="$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader) $(cksum <"$build/bin/damc")"
  if [ -f "$mark" ] && [ "$(cat "$mark")" = "$key" ]; then return 0; fi
  echo "testing the GPU"
  if "$build/bin/damc" info --check cuda; then
    echo "$key" >"$mark"
    return 0
  fi
  on_cpu_instead "The GPU does not compute as it should here" "$@"
}
