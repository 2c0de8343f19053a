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
  if [ "$method" = meg ]; then # it finds no z of an image
    refuses 2 'meg finds no z' reconstruct "$run" --images small --out drawn
    refuses 2 'mse needs the z of an image' eval "$run" --metric mse
    succeeds '^pca-fd +[0-9.]+ +samples 8' eval "$run" --metric pca-fd --samples 8
  else
    succeeds 'mse posterior +[0-9]' reconstruct "$run" --images small --count 4 --out drawn
    succeeds '^mse +[0-9.]+ ' eval "$run" --metric mse,pca-fd --samples 8
    exists drawn/reconstructions.png
  fi
  exists drawn/samples-*.png drawn/samples-*.npy "$run/metrics.jsonl"
  rm -r runs drawn whole
done
echo "-- what has no part in a method is said"
succeeds '^without effect here: posterior_steps, lr_q \(preset mnist-quick, method vae\)$' train --preset mnist-quick --method vae \
  --set lr_q=1 --set posterior_steps=3 --set lr_g=1e-3 --dry-run
succeeds '^without effect here: method, posterior_steps \(preset mnist-classifier\)$' train --preset mnist-classifier --method vae \
  --set posterior_steps=9 --set lr_c=1e-3 --data small --batch 4 --iterations 1 --out runs
rm -r runs
echo "-- a batch in pieces"
succeeds 'done' train "${start[@]}" --batch-gpu 4 --iterations 2 --out runs
succeeds 'done' train --resume runs/* --batch-gpu 0 --iterations 3
refuses 2 'batch_gpu = 3 of a batch of 8' train "${start[@]}" --batch-gpu 3
refuses 2 'batch_gpu = 2 of a batch of 8' train "${start[@]}" --batch-gpu 2
refuses 2 'batch_gpu' train --preset mnist-classifier --data small --batch-gpu 4
refuses 2 'batch_gpu = 4 with method bigan' train "${start[@]}" --method bigan --batch-gpu 4
rm -r runs
echo "-- scores of anomalies by critics"
anomaly=(--preset mnist-anomaly "${tiny[@]}" --data small --batch 4 --holdout 9 --iterations 4 --set eval_every=2 --set g_every=2)
for method in meg bigan; do
  succeeds 'auprc: mean 0\.[0-9]+, deviation .* of the last 2 evaluations' train "${anomaly[@]}" --method $method --out runs
done
succeeds '^auprc +0\.[0-9]+ +over 22 test images' eval runs/00000-mnist-anomaly --metric auprc
refuses 2 'auprc-reconstruction needs the z of an image' eval runs/00000-mnist-anomaly --metric auprc-reconstruction
succeeds '^auprc-reconstruction +0\.[0-9]+ +over 22' eval runs/00001-mnist-anomaly --metric auprc,auprc-reconstruction,mse
COLUMNS=300 succeeds 'meg .*0\.[0-9]+ .*\(2\)' compare runs/*
succeeds 'here .* 0\.[0-9]+ .*\[1\]' table 3 --runs runs
rm -r runs
echo "-- chains from N(0, I) in the place of the sampler"
succeeds 'done' train "${start[@]}" --iterations 1 --out runs
succeeds 'mse' eval runs/* --metric mse,pca-fd --samples 8 --test-start noise --test-posterior-steps 3
[ "$(grep -c '"start":"noise","steps":3' runs/*/metrics.jsonl)" = 2 ] || fail "metrics.jsonl does not say where chains began"
succeeds 'posterior \(3 steps\)' reconstruct runs/* --images small --test-start noise --test-posterior-steps 3 --out drawn
refuses 2 "'sampler' is not a value for test_start" eval runs/* --test-start sampler
rm -r runs drawn
echo "-- a generator of five layers"
succeeds 'done' train "${start[@]}" --method sri --set layers=5 --set nz=416 --iterations 1 --out runs
succeeds 'samples-gaussian' sample runs/* --count 2 --out drawn
refuses 2 'nz = 4 with layers = 5' train "${start[@]}" --method sri --set layers=5
refuses 2 "'lebmm' is not a value for method" train "${start[@]}" --method lebmm
refuses 2 'start = sampler: method abp has no sampler' train "${start[@]}" --method abp --set start=sampler
finish
