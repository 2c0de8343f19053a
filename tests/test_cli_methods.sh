#!/usr/bin/env bash
# Every method from outside: it trains, goes on to the same bits, draws, reconstructs and is measured.
#   test_cli_methods.sh DAMC
. "$(dirname "$0")/cli_functions.sh"
export OMP_NUM_THREADS=1 # the nets are tiny, and other tests run beside
small_set small 0 60 8
start=(--preset mnist-quick "${tiny[@]}" --set test_posterior_steps=2 --set sample_prior_steps=2 --set posterior_steps=2
  --set prior_steps=2 --set flip=true --set diagnose_every=3 --batch 8 --data small)
methods=$("$damc" info | sed -n '/^methods/,$s/^  \([a-z0-9-]*\) .*/\1/p')
[ "$(wc -w <<<"$methods")" -ge 15 ] || fail "damc info lists these methods: $methods"
for method in $methods; do
  echo "-- $method"
  "$damc" train --help | tr -d ' \n' | grep -q "[(|]$method[|)]" || fail "train --help does not list $method"
  # The state after 4 iterations, the next phase after 5, where there is one.
  succeeds 'done' train "${start[@]}" --method "$method" --set phase_iterations=5 --set state_every=4 --iterations 6 --out runs
  run=$(echo runs/*-mnist-quick)
  mv "$run/state-000006.safetensors" whole && rm "$run/model-000006.safetensors"
  succeeds 'done' train --resume "$run"
  cmp whole "$run/state-000006.safetensors" || fail "$method: a resumed run differs"
  succeeds 'samples-' sample "$run" --count 4 --out drawn --npy
  succeeds 'mse posterior +[0-9]' reconstruct "$run" --images small --count 4 --out drawn
  succeeds '^mse +[0-9.]+ ' eval "$run" --metric mse,pca-fd --samples 8
  exists drawn/samples-*.png drawn/samples-*.npy drawn/reconstructions.png "$run/metrics.jsonl"
  rm -r runs drawn whole
done
echo "-- a batch in pieces"
succeeds 'done' train "${start[@]}" --batch-gpu 4 --iterations 2 --out runs
succeeds 'done' train --resume runs/* --batch-gpu 0 --iterations 3
refuses 2 'batch_gpu = 3 of a batch of 8' train "${start[@]}" --batch-gpu 3
refuses 2 'batch_gpu = 2 of a batch of 8' train "${start[@]}" --batch-gpu 2
refuses 2 'batch_gpu' train --preset mnist-classifier --data small --batch-gpu 4
rm -r runs
echo "-- a generator of five layers"
succeeds 'done' train "${start[@]}" --method sri --set layers=5 --set nz=416 --iterations 1 --out runs
succeeds 'samples-gaussian' sample runs/* --count 2 --out drawn
refuses 2 'nz = 4 with layers = 5' train "${start[@]}" --method sri --set layers=5
refuses 2 "'lebmm' is not a value for method" train "${start[@]}" --method lebmm
refuses 2 'start = sampler: method abp has no sampler' train "${start[@]}" --method abp --set start=sampler
finish
