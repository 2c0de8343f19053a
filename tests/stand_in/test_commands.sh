#!/usr/bin/env bash
# Every command on the stand-in GPU: its outputs are the CPU's, to rounding. (What computes for minutes even at its
# smallest, `toy` and `bench`, runs beside a stand-in that does nothing: test_cuda_calls.sh.)
#   test_commands.sh DAMC    whose kernels the stand-in runs
. "$(dirname "$0")/../cli_functions.sh"
export XDG_CACHE_HOME=$scratch/cache
recorded='stand-in GPU: 0 problems; [1-9][0-9]* kernels, .* [1-9][0-9]* graphs, [1-9][0-9]* replays'
computed='stand-in GPU: 0 problems; [1-9][0-9]* kernels'
small_set small 0 100 24

echo "-- a GPU that computes is found good, and that is remembered"
start=(train --preset mnist-quick "${tiny[@]}" --data small --batch 4 --holdout 9 --iterations 4 --device cuda)
succeeds 'is used for the first time' "${start[@]}" --out runs
exists cache/damc/checked-devices
succeeds "$recorded" "${start[@]}" --out runs
output=$("$damc" "${start[@]}" --out runs 2>&1)
grep -q 'for the first time' <<<"$output" && fail "it is tested again: $output"
output=$("$damc" info --check cuda:1 2>&1) || fail "info --check: $output"
[ "$(grep -c '^cuda:1 .* passed ' <<<"$output")" = 7 ] || fail "info --check: $output"
grep -q "$recorded" <<<"$output" || fail "info --check: $output"

echo "-- commands on a run"
run=runs/00000-mnist-quick
# both PATTERN OUTPUTS COMMAND..: the command with `--out` of each device's own; these outputs are close.
both() {
  local pattern=$1 outputs=$2 output
  shift 2
  succeeds "$pattern" "$@" --device cuda --out cuda
  succeeds . "$@" --device cpu --out cpu
  for output in $outputs; do close_to "cuda/$output" "cpu/$output"; done
}
both "$recorded" 'samples-damc.npy samples-lebm.npy samples-gaussian.npy' \
  sample $run --from damc,lebm,gaussian --count 600 --npy
both "$computed" 'reconstructions.npy z.npy' reconstruct $run --images small --count 5 --npy
both "$recorded" energy-20.npy chain $run --steps 20
for device in cuda cpu; do
  succeeds 'over 38 test images' eval $run --metric mse,auprc --device $device
done
awk -F'"value":' '/mse/ { split($2, v, /[,}]/); m[++n] = v[1] }
  END { exit !(n == 2 && (m[1] - m[2])^2 < 1e-10 * m[2]^2) }' $run/metrics.jsonl ||
  fail "mse on both devices: $(cat $run/metrics.jsonl)"
succeeds "0 problems" info $run

echo "-- apply"
golden=$root/tests/golden/apply
narrow=(--preset svhn --weights "$golden/weights.safetensors")
for setting in nz=10 ngf=4 nif=4 nemb=16 ndf=16 width=0.0625; do narrow+=(--set "$setting"); done
for what in 'generator z' 'energy z' 'encoder x' 'denoiser z logsnr xemb' 'sampler x zT' 'posterior-chain z x' 'prior-chain z'; do
  read -r piece names <<<"$what"
  inputs=()
  for name in $names; do inputs+=(--in "$name=$golden/$name.npy"); done
  [[ $piece = *chain ]] && inputs+=(--steps 5)
  succeeds "$computed" apply "$piece" "${narrow[@]}" "${inputs[@]}" --device cuda --out got.npy
  close_to got.npy "$golden/expected-$piece.npy"
done
finish
