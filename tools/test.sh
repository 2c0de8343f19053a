#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test; with those that need a GPU where there is one.
#   tools/test.sh             release build in build/, or where there is a GPU that with CUDA in build-cuda/
#   tools/test.sh --sanitize  AddressSanitizer and UndefinedBehaviorSanitizer, in build-dev/
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/choose_device.sh

tools/setup.sh
if [ "${1:-}" = --sanitize ]; then
  build=build-dev
  cmake --preset dev -G Ninja >/dev/null
  build_targets
else
  choose_device
  built_device
fi
ctest --test-dir "$build" -j 2 --output-on-failure
