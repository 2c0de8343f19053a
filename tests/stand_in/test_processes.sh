#!/usr/bin/env bash
# Training by two processes with a stand-in GPU each, joined by the stand-in's NCCL, beside one that takes the parts in turn.
#   test_processes.sh DAMC    whose kernels the stand-in runs
. "$(dirname "$0")/../cli_functions.sh"
export TERM=dumb
recorded='stand-in GPU: 0 problems; [1-9][0-9]* kernels, .* [1-9][0-9]* collectives, [0-9]+ recorded beside other work, [1-9][0-9]* graphs, [1-9][0-9]* replays'
small_set small 0 100 24
start=(train --no-check --preset mnist-quick "${tiny[@]}" --set posterior_steps=2 --set prior_steps=2 --set q_updates=2
  --set ema_every=2 --set test_posterior_steps=2 --set sample_prior_steps=2 --set log_every=1 --data small --batch 8 --device cuda)
launch() { "$root/tests/together.sh" "$@"; }
# both ARGUMENTS: two processes succeed, break no rule and record what they send.
both() {
  launch 2 "$damc" "$@" >screen.txt 2>&1 || fail "2 x damc $*: exit code $?: $(cat screen.txt)"
  [ "$(grep -cE "$recorded" screen.txt)" = 2 ] || fail "2 x damc $*: $(grep -a stand-in screen.txt)"
}
values() { tail -c +$((9 + $(od -An -tu8 -N8 "$1"))) "$1"; } # values FILE: of a safetensors file all that follows its header
same_values() { cmp -s <(values "$1") <(values "$2") || fail "$1 and $2 hold different numbers"; }
run=00000-mnist-quick

for method in damc vae abp; do # abp gathers the ends of chains
  echo "-- $method"
  both "${start[@]}" --method $method --iterations 6 --set state_every=3 --out two-$method
  succeeds '0 problems' "${start[@]}" --method $method --iterations 6 --batch-gpu 4 --out one-$method
  same_values {one,two}-$method/$run/state-000006.safetensors
  grep -q "^device = 'cuda'" two-$method/$run/config.toml || fail "the run's device: $(grep device two-$method/$run/config.toml)"
done

echo "-- gradients travel beside the backward pass that finds more of them"
both "${start[@]}" --set width=2 --iterations 4 --out two-wide
grep -qE ' [1-9][0-9]* recorded beside other work' screen.txt || fail "one message for all: $(grep -a stand-in screen.txt)"
succeeds '0 problems' "${start[@]}" --set width=2 --iterations 4 --batch-gpu 4 --out one-wide
same_values {one,two}-wide/$run/state-000004.safetensors

echo "-- one goes on, and two again"
succeeds 'done' train --no-check --resume two-damc/$run --iterations 8
both train --no-check --resume two-damc/$run --iterations 14
succeeds '2 processes of 4 images each' "${start[@]:0:${#start[@]}-2}" --gpus 2 --iterations 4 --out gpus

echo "-- images by several"
launch 2 "$damc" sample two-damc/$run --count 300 --npy --out shared >screen.txt 2>&1 || fail "sample: $(cat screen.txt)"
succeeds '0 problems' sample two-damc/$run --count 300 --npy --out alone
diff -r shared alone || fail "other samples"

echo "-- errors are one line"
# all_refuse PATTERN COUNT ARGUMENTS: with PATTERN in the only line of an error.
all_refuse() {
  launch "${@:2:1}" "$damc" "${@:3}" >screen.txt 2>&1 && fail "${*:2} succeeds"
  [ "$(grep -c '^damc: error' screen.txt)" -ge 1 ] && ! grep '^damc: error' screen.txt | grep -qvE "$1" || fail "${*:2}: $(cat screen.txt)"
}
all_refuse 'no device cuda:[23]: this machine has 2 CUDA devices' 4 "${start[@]/%8/16}" --iterations 1 --out none
STAND_IN_NO_NCCL=1 all_refuse 'NCCL: process [01] of 2 on cuda:[01]: ' 2 "${start[@]}" --iterations 1 --out none
STAND_IN_BROKEN=2 all_refuse 'NCCL: what was queued: ' 2 "${start[@]}" --iterations 9 --out broken
[ -e none ] && fail "what was refused left a folder behind"
finish
