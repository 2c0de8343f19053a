#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
#   tools/test.sh             release build, in build/
#   tools/test.sh --sanitize  AddressSanitizer and UndefinedBehaviorSanitizer, in build-dev/
set -euo pipefail
cd "$(dirname "$0")/.."

preset=release folder=build
if [ "${1:-}" = --sanitize ]; then preset=dev folder=build-dev; fi

tools/setup.sh
cmake --preset "$preset" -G Ninja >/dev/null
cmake --build "$folder" -j "$(nproc)"
ctest --test-dir "$folder" --output-on-failure
