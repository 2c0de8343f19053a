#!/usr/bin/env bash
# A training iteration of damc and of PyTorch side by side on this machine's CPU: damc in fp32 and in bf16, PyTorch at each of
# its settings, f32 and bf16 (autocast), eager and compiled, in both layouts. The programs take turns, in as many rounds as asked for; the table has
# the median of the rounds and their spread. Installs nothing: PYTHON is one that has PyTorch.
#   compare_peers.sh PYTHON [--damc PROGRAM] [--rounds N] [--work "PRESET:BATCH ..."] [--settings "NAME ..."] [--out DIR]
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${1:?which Python? compare_peers.sh PYTHON, one that has PyTorch}
shift
damc=build/bin/damc rounds=3 out=peers
work="svhn:32 cifar10:8 celeba64:8 mnist-anomaly:16"
settings="fp32 fp32,channels-last fp32,compile bf16 bf16,channels-last bf16,compile"
while [ $# -gt 0 ]; do
  case $1 in
    --damc) damc=${2:?--damc needs a program} ;;
    --rounds) rounds=${2:?--rounds needs a number} ;;
    --work) work=${2:?--work needs presets and batches, such as svhn:32} ;;
    --settings) settings=${2:?--settings needs names, such as bf16,compile} ;;
    --out) out=${2:?--out needs a folder} ;;
    *) echo "compare_peers: unknown option $1; see the head of the script" >&2; exit 2 ;;
  esac
  shift 2
done
"$python" -c 'import torch' || { echo "compare_peers: $python has no PyTorch; give one that has" >&2; exit 2; }

mkdir -p "$out"
for round in $(seq "$rounds"); do
  for item in $work; do
    preset=${item%:*} batch=${item#*:}
    for precision in fp32 bf16; do
      "$damc" bench --suite iteration --preset "$preset" --batch "$batch" --precision $precision --repeat 3 \
        --json "$out/$preset-$batch-damc,$precision-$round.json"
    done
    for setting in $settings; do
      read -ra words <<<"${setting//,/ --}" # bf16,compile: --precision bf16 --compile
      "$python" tools/bench/pytorch_bench.py --suite iteration --preset "$preset" --batch "$batch" --precision "${words[0]}" \
        "${words[@]:1}" --repeat 2 --json "$out/$preset-$batch-$setting-$round.json" ||
        echo "compare_peers: PyTorch's $setting failed on $preset; the table goes without" >&2
    done
  done
done
"$python" tools/bench/peers_table.py "$out" | tee "$out/peers.md"
