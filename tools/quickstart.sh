#!/usr/bin/env bash
# From a fresh checkout to generated digits: installs what is missing, builds, trains on the bundled MNIST images for a
# few minutes, and says where the pictures and the numbers are. On the GPU where there is one, else on the CPU.
#   tools/quickstart.sh [RUNS]    folder for the run; default: runs
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/choose_device.sh

runs=${1:-runs}
tools/setup.sh
choose_device
built_device damc_tool
"$build/bin/damc" train --preset mnist-quick --data data/mnist --device "$device" --out "$runs"
run=$(ls -d "$runs"/*-mnist-quick | sort | tail -n 1)
"$build/bin/damc" eval "$run" --metric mse
"$build/bin/damc" report "$run"
echo
echo "all of it on a page:            $run/report.html"
echo "samples from the sampler:       $(ls "$run"/grids/samples-damc-* | tail -n 1)"
echo "samples from the energy prior:  $(ls "$run"/grids/samples-lebm-* | tail -n 1)"
echo "reconstructions of test images: $(ls "$run"/grids/reconstructions-* | tail -n 1)"
echo "  (rows: observed, posterior, sampler only)"
echo "numbers over the iterations:    $run/stats.jsonl"
echo "evaluation:                     $run/metrics.jsonl"
