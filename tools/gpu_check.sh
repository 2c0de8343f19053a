#!/usr/bin/env bash
# Everything that only a machine with a GPU can show, in at most ten minutes, what matters most first: build, self-test,
# parity of every operation with the CPU, the same losses as the CPU, resuming across devices, training on real images,
# benchmarks beside PyTorch in every precision, memory checks. Each part has a time limit; when one fails it is recorded
# and the rest still runs. The report is written anew after each part that takes time; its last line sums it up for an issue.
#   tools/gpu_check.sh                 builds in build-cuda/
#   tools/gpu_check.sh --build DIR     uses what is built in DIR
#   tools/gpu_check.sh --seconds N     takes up to N seconds instead of 600, if compiled PyTorch is left without time
# Writes tools/bench/results/DATE-GPU.json and .md. Exit: 0 all passed, 1 something failed, 2 no GPU. PyTorch's parts
# and goals that are not met are reported only.
set -uo pipefail
cd "$(dirname "$0")/.."

total=600 build=build-cuda built=no pytorch=no
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=${2:?--build needs a folder} built=yes ;;
    --seconds) total=${2:?--seconds needs a number} ;;
    *) echo "gpu_check: unknown option $1; there are --build DIR and --seconds N" >&2; exit 2 ;;
  esac
  shift 2
done
[[ $total =~ ^[0-9]+$ ]] || { echo "gpu_check: --seconds $total is no whole number" >&2; exit 2; }
readonly total
deadline=$((SECONDS + total - 10)) # the report takes its share

if ! gpu=$(nvidia-smi -i 0 --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null) || [ -z "$gpu" ]; then
  echo "gpu_check: this machine has no GPU that nvidia-smi finds; nothing was checked" >&2
  exit 2
fi
command -v python3 >/dev/null || { echo "gpu_check: the comparisons and the report need python3" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
name=$(cut -d, -f1 <<<"$gpu" | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9\n' - | sed 's/^-//; s/-$//')
results=tools/bench/results/$(date +%Y-%m-%d)-$name
export gpu build work damc=$build/bin/damc report=tools/bench/gpu_report.py
echo "gpu_check: $gpu"

# part NAME SECONDS SCRIPT: runs a script under a time limit and notes how it went. Exit code 77 means skipped.
part() {
  local name=$1 limit=$2 start=$SECONDS left=$((deadline - SECONDS)) status
  if [ "$limit" -gt "$left" ]; then limit=$left; fi
  if [ "$built" = no ] && [ "$name" != packages ] && [ "$name" != build ]; then
    echo "the build failed" >"$work/$name.log"
    status="not run"
  elif [ "$limit" -lt 3 ]; then
    echo "the $total seconds were used up" >"$work/$name.log"
    status="not run"
  else
    printf 'gpu_check: %-21s' "$name"
    timeout -k 5 "$limit" bash -euo pipefail -c "$3" >"$work/$name.log" 2>&1
    case $? in
      0) status=passed ;;
      77) status=skipped ;;
      124 | 137) status="over $limit s" ;;
      *) status=failed ;;
    esac
    echo " $status, $((SECONDS - start)) s"
  fi
  printf '%s\t%s\t%s\n' "$name" "$status" "$((SECONDS - start))" >>"$work/parts.tsv"
  # What there is stays, whatever ends this.
  [ "$SECONDS" = "$start" ] || python3 $report write "$work" "$results" "$gpu" >/dev/null
  [ "$status" = passed ]
}

if [ "$built" = no ]; then
  part packages 60 'tools/setup.sh'
  part build 240 '
    nvcc=$(command -v nvcc || command -v "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" || true)
    CUDACXX=$nvcc cmake --preset cuda -G Ninja -DCMAKE_CUDA_ARCHITECTURES=native -DDAMC_WERROR=OFF
    cmake --build "$build" -j "$(nproc)"' && built=yes
fi

part self_test 60 '"$damc" info --check cuda | tee "$work/self_test.txt"'

part device_tests 180 '
  "$build/tests/test_device_parity" -d | tee "$work/device.txt"
  ! grep -q "skipped, nothing was tested" "$work/device.txt"'

part losses 90 '
  for device in cuda cpu; do
    "$damc" train --preset mnist-quick --data data/mnist --device $device --iterations 50 --set log_every=1 --set grid_every=0 \
      --set state_every=25 --out "$work/losses-$device" | tail -n 1
  done
  python3 $report losses "$work"/losses-{cpu,cuda}/00000-mnist-quick | tee "$work/losses.txt"'

# From iteration 25 of each run above, on the other device, to 50.
part resume 60 '
  bad=0
  for pair in cpu:cuda cuda:cpu; do
    from=${pair%:*} to=${pair#*:}
    run=$work/resume-$from-$to
    cp -r "$work/losses-$from/00000-mnist-quick" "$run"
    rm "$run"/*-000050.safetensors
    "$damc" train --resume "$run" --device $to | tail -n 1
    echo "from $from to $to, beside the run that stayed:" | tee -a "$work/resume.txt"
    python3 $report losses "$work/losses-$from/00000-mnist-quick" "$run" 25 | tee -a "$work/resume.txt" || bad=1
  done
  exit $bad'

part training 120 '
  "$damc" train --preset mnist-quick --data data/mnist --device cuda --out "$work/training" | tail -n 1
  run=$work/training/00000-mnist-quick
  tail -n 1 "$run/stats.jsonl" | tee "$work/training.json"
  "$damc" sample "$run" --from damc,lebm --count 64 --out "$work/training"
  "$damc" eval "$run" --metric mse | tee "$work/training.txt"'

# Benchmarks, each on its own, so that what was measured stays when a limit strikes: the goals' first.
# timed PROGRAM SECONDS SCRIPT: a part for each preset and precision.
timed() {
  for preset in svhn cifar10; do
    for precision in fp32 tf32 bf16; do
      export preset precision
      part "$1-$preset-$precision" "$2" "program=$1; $3"
    done
  done
}

timed damc 40 '
  for suite in iteration:128 sampling:64; do
    "$damc" bench --device cuda --preset $preset --precision $precision --suite ${suite%:*} --batch ${suite#*:} \
      --json "$work/damc-$preset-$precision-${suite%:*}.json"
  done'

part floors 10 '
  case $gpu in # data sheets are of these
    "NVIDIA H200,"*) sheet=h200 ;;
    "NVIDIA H100 80GB HBM3,"*) sheet=h100 ;;
    "NVIDIA A100-SXM4-80GB,"*) sheet=a100 ;;
    "NVIDIA RTX A6000,"*) sheet=a6000 ;;
    *) echo "no data sheet of this GPU"; exit 77 ;;
  esac
  for precision in fp32 tf32 bf16; do
    "$damc" bench --floors --gpu $sheet --preset svhn,cifar10 --precision $precision --json "$work/floors-$precision.json"
  done'

part pytorch 30 'python3 -c "import torch, sys; sys.exit(not torch.cuda.is_available())" ||
  { echo "no PyTorch that finds the GPU"; exit 77; }' && pytorch=yes
beside='
  for suite in $suites; do
    python3 tools/bench/pytorch_bench.py --device cuda --preset $preset --precision $precision --suite ${suite%:*} \
      --batch ${suite#*:} $how --json "$work/$program-$preset-$precision-${suite%:*}.json"
  done'
[ "$pytorch" = no ] || timed eager 60 "how= suites=\"iteration:128 sampling:64\"; $beside"

part host_tests 60 'ctest --test-dir "$build" --no-tests=error --output-on-failure -R "^(cuda_host|cuda_grids|cudnn|curand|guarded)$"'

part memcheck 90 '
  tool=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  [ -x "$tool" ] || { echo "no compute-sanitizer"; exit 77; }
  "$tool" --tool memcheck --error-exitcode 1 "$damc" train --preset mnist-quick --data data/mnist --device cuda --iterations 2 \
    --batch 4 --set ngf=2 --set nif=2 --set diffusion_steps=4 --set posterior_steps=2 --set prior_steps=2 --set q_updates=1 \
    --out "$work/memcheck"'

# Iterations only: sampling would be compiled anew, and no goal compares it.
[ "$pytorch" = no ] || timed compiled 90 "how=--compile suites=iteration:128; $beside"

python3 $report write "$work" "$results" "$gpu" >"$work/summary.txt" || exit 1
echo "gpu_check: $results.md"
cat "$work/summary.txt"
! grep -v '^eager-\|^compiled-' "$work/parts.tsv" | cut -f2 | grep -qv '^passed$\|^skipped$'
