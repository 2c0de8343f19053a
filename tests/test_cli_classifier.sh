#!/usr/bin/env bash
# The classifier of digits from outside, and the distance in its features.   test_cli_classifier.sh DAMC
. "$(dirname "$0")/cli_functions.sh"
export OMP_NUM_THREADS=1 XDG_CACHE_HOME=$PWD/cache
small_set small 0 200 40

echo "-- a run like others"
succeeds 'iteration 6: accuracy 0\.[0-9]+ over 40 test images' train --preset mnist-classifier --data small --out runs --iterations 6 \
  --batch 16 --set log_every=2 --set state_every=3 --set eval_every=3
run=$(echo runs/00000-mnist-classifier)
for file in config.toml log.txt stats.jsonl metrics.jsonl model-00000{3,6}.safetensors state-00000{3,6}.safetensors; do exists "$run/$file"; done
grep -qE '"iteration":6,"images_seen":96,.*"loss_c":[0-9.]+,.*"lr_c":0\.001' "$run/stats.jsonl" || fail "stats.jsonl: $(tail -1 "$run/stats.jsonl")"
grep -q '"metric":"accuracy","value":[0-9.e-]*,"images":40,"iteration":3' "$run/metrics.jsonl" || fail "metrics.jsonl: $(cat "$run/metrics.jsonl")"

echo "-- going on is the same as never to have stopped"
cp -r "$run" stopped
rm stopped/*-000006.safetensors
succeeds '3 of 6 iterations done' train --resume stopped
cmp "$run/state-000006.safetensors" stopped/state-000006.safetensors || fail "a resumed run ends elsewhere"
succeeds '436202 parameters' train --preset mnist-classifier --data small --dry-run

echo "-- distances in its features"
succeeds 'done' train --preset mnist-quick "${tiny[@]}" --data small --out runs --iterations 1 --batch 8 --set grid_every=0
digits=$(echo runs/00001-mnist-quick)
succeeds 'classifier-fd [0-9.]+ +300/200 classifier \(from damc; against the first 200 training images of mnist; network [0-9a-f]{8}\)' \
  eval "$digits" --metric classifier-fd --classifier "$run" --samples 300
succeeds '1 iterations, dpm-solver\+\+ in 3 steps' eval "$digits" --metric classifier-fd --classifier "$run" --samples 200 \
  --solver dpm-solver++ --solver-steps 3
tail -1 "$digits/metrics.jsonl" | grep -q '"solver":"dpm-solver++","solver_steps":3,"eta":0.0' || fail "no solver in $(tail -1 "$digits/metrics.jsonl")"
refuses 2 '--solver ddim: samples from lebm' eval "$digits" --metric classifier-fd --classifier "$run" --from lebm --solver ddim
if command -v python3 >/dev/null; then
  table=$(python3 "$root/tools/bench/solvers.py" "$digits" "$run" --damc "$damc" --steps 3 --samples 130 2>&1)
  [ "$(grep -cE '^\| (ancestral|(ddim|dpm-solver\+\+)(, eta 1)?) \| 3 \| [0-9.]+ \| [0-9.]+ \| [0-9.]+ \|$' <<<"$table")" = 5 ] ||
    fail "solvers.py: $table"
fi
succeeds 'iteration 2: classifier-fd' train --resume "$digits" --iterations 2 --set eval_every=1 --set eval_samples=20 \
  --set eval_metrics=classifier-fd --set classifier="$run"

echo "-- what does not fit together"
refuses 2 'is a classifier: it makes no images' sample "$run" --out none
refuses 2 'is a classifier: it makes no images' eval "$run"
refuses 2 'classifier-fd needs a classifier' eval "$digits" --metric classifier-fd
refuses 2 'classifier-fd needs a classifier' train --preset mnist-quick --data small --out none --set eval_every=1 \
  --set eval_metrics=classifier-fd
succeeds 'samples-damc' sample "$digits" --out tiny --count 20 --separate
refuses 2 'is for digits, this run makes images of svhn' train --preset svhn --data tiny/samples-damc --out none --dry-run \
  --set eval_every=1 --set eval_metrics=classifier-fd --set classifier="$run"
npz=$root/tests/golden/statistics.npz
refuses 2 'does not say in which mode' eval "$digits" --metric classifier-fd --classifier "$run" --reference "$npz"
refuses 2 'is of 8 features, those of the mode classifier are 128' eval "$digits" --metric classifier-fd --classifier "$run" \
  --reference "$npz" --reference-mode classifier
refuses 2 'is a run of preset mnist-quick, not of a classifier' eval "$digits" --metric classifier-fd --classifier "$digits"
refuses 2 'it always begins anew' train --preset mnist-classifier --data small --out none --init "$run/model-000006.safetensors"
finish
