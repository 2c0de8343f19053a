#!/usr/bin/env bash
# fid, kid, precision and recall from outside, with weights that follow a formula.   test_cli_fid.sh DAMC INCEPTION_FILE
. "$(dirname "$0")/cli_functions.sh"
export OMP_NUM_THREADS=2 XDG_CACHE_HOME=$PWD/cache
"$2" net.safetensors
small_set small 0 40 8
succeeds 'done' train --preset mnist-quick "${tiny[@]}" --data small --out runs --iterations 1 --batch 8 --set grid_every=0
run=$(echo runs/?????-mnist-quick)

echo "-- numbers with their counts, mode, network and reference"
succeeds 'fid +[0-9.]+ +12/40 fid-float \(from damc; against the first 40 training images of mnist; network [0-9a-f]{8}\)' \
  eval "$run" --metric fid --inception net.safetensors --samples 12
grep -qE '"metric":"fid".*"mode":"fid-float","from":"damc","network_sha256":"[0-9a-f]{64}","reference":"the first 40 .*"reference_images":40' \
  "$run/metrics.jsonl" || fail "metrics.jsonl: $(cat "$run/metrics.jsonl")"
references=(cache/damc/reference-*.safetensors)
[ "${#references[@]}" = 1 ] || fail "no cached reference"
cp "${references[0]}" kept.safetensors
value() { tail -1 "$run/metrics.jsonl" | sed 's/.*"value":\([-0-9.e]*\),.*/\1/'; }
first=$(value)

echo "-- the cache, a file of statistics, a folder"
succeeds 'fid ' eval "$run" --metric fid --inception net.safetensors --samples 12
[ "$(value)" = "$first" ] || fail "the cache gives $(value), not $first"
succeeds 'recall +[01][0-9.]* +12/40 fid-float \(k = 3, in pool3' eval "$run" --metric fid,kid,precision,recall \
  --inception net.safetensors --samples 12 --reference kept.safetensors
small_set other 100 30 8
succeeds 'kid +-?[0-9.]+ .*against the first 30 training images of other' eval "$run" --metric kid --inception net.safetensors \
  --samples 12 --reference other --from gaussian

cp -r "$run" another
"$damc" compare "$run" another | grep 'not of one reference' && fail "compare finds two references where there is one"
succeeds 'fid ' eval another --metric fid --inception net.safetensors --samples 12 --reference other
COLUMNS=500 succeeds 'fid is not of one reference: another of fid-float, network [0-9a-f]{8}, the first 30 .*; 00000-mnist-quick of fid-float.*the first 40 ' \
  compare "$run" another
rm -r another

echo "-- while training"
succeeds 'iteration 2: kid -?[0-9.]+ 6/40 fid-float' train --resume "$run" --iterations 2 --set eval_every=2 \
  --set eval_metrics=kid --set eval_samples=6 --set inception="$PWD/net.safetensors"

echo "-- what is missing or is not what it should be"
refuses 2 'fid needs the weights of Inception-v3' eval "$run" --metric fid
refuses 2 'precision needs the weights' eval "$run" --metric pca-fd,precision
refuses 2 'kid needs the weights' train --preset mnist-quick --data small --out none --set eval_every=1 --set eval_metrics=mse,kid
refuses 2 'no tensor' eval "$run" --metric fid --inception "$run/model-000001.safetensors"
npz=$root/tests/golden/statistics.npz
refuses 2 'does not say in which mode' eval "$run" --metric fid --inception net.safetensors --reference "$npz"
refuses 2 'is of 8 features' eval "$run" --metric fid --inception net.safetensors --reference "$npz" --reference-mode fid-float
refuses 2 "mode fid-float: 'kept.safetensors' says itself that it is of mode fid-float" \
  eval "$run" --metric fid --inception net.safetensors --reference kept.safetensors --reference-mode fid-float
refuses 2 'mode fid-float without a file of statistics' eval "$run" --metric fid --inception net.safetensors --reference-mode fid-float
refuses 2 'mode fid-float without a file of statistics' eval "$run" --metric fid --inception net.safetensors --reference other \
  --reference-mode fid-float
refuses 2 'mode classifier: none of --metric mse uses it' eval "$run" --reference-mode classifier
refuses 2 "'float' is not one of fid-float, classifier" eval "$run" --metric fid --reference-mode float
refuses 2 "statistics.npz' was measured in the mode classifier, not fid-float" eval "$run" --metric fid --inception net.safetensors --reference "$npz" --reference-mode classifier
refuses 2 'nowhere' eval "$run" --metric fid --inception net.safetensors --reference nowhere
finish
