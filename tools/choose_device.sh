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

# What choose_device chose, once it is built, has to compute: the program tests itself on the GPU, once for each build and
# driver. Where it fails that is said, and the CPU takes the GPU's place.
#   built_device TARGET...    builds these targets, or all
built_device() {
  local mark key
  cmake --build "$build" -j "$(nproc)" ${1:+--target "$@"}
  [ "$device" = cuda ] || return 0
  mark=$build/device-checked
  key="$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader) $(cksum <"$build/bin/damc")"
  if [ -f "$mark" ] && [ "$(cat "$mark")" = "$key" ]; then return 0; fi
  echo "testing the GPU"
  if "$build/bin/damc" info --check cuda; then
    echo "$key" >"$mark"
    return 0
  fi
  echo "
The GPU does not compute as it should here; please report the lines above. The CPU is used in its place." >&2
  preset=release build=build device=cpu
  cmake --preset "$preset" -G Ninja >/dev/null
  cmake --build "$build" -j "$(nproc)" ${1:+--target "$@"}
}
