#!/usr/bin/env bash
# GAN inversion trained from outside, small: its networks, the sampler, the energy, and what damc invert makes of them.
#   test_cli_inversion_training.sh DAMC INVERSION_FILES
# shellcheck source=tests/cli_functions.sh
. "$(dirname "$0")/cli_functions.sh" "$1"
export OMP_NUM_THREADS=1
small_set small 0 60 20
networks=(--set nz=64 --set ngf=2 --set nif=2 --set eval_samples=5)
sizes=(--set nz=64 --set nemb=64 --set ndf=8 --set denoiser_width=16 --set posterior_steps=2 --set test_posterior_steps=2
  --set eval_samples=5)

echo "-- generator and encoder"
succeeds 'iteration 3: mse [0-9.]+ over 5 test images' train --preset invert-mini-networks --data small --out runs --iterations 3 \
  --batch 4 "${networks[@]}" --set log_every=1 --set state_every=2 --set eval_every=3
nets=runs/00000-invert-mini-networks
exists "$nets"/{generator,encoder}.safetensors
grep -qE '"loss_g":[0-9.]+,.*"lr_g":0\.002' "$nets/stats.jsonl" || fail "stats.jsonl: $(tail -1 "$nets/stats.jsonl")"
cp -r "$nets" stopped
rm stopped/*-000003.safetensors
succeeds '2 of 3 iterations done' train --resume stopped
cmp "$nets/state-000003.safetensors" stopped/state-000003.safetensors || fail "a resumed run ends elsewhere"
cmp "$nets/generator.safetensors" stopped/generator.safetensors || fail "it wrote another generator"
with=(--generator "$nets/generator.safetensors" --encoder "$nets/encoder.safetensors")

echo "-- sampler and energy beside them"
mini=(train --preset invert-mini --data small --batch 4 "${sizes[@]}" --set phase_iterations=2)
succeeds 'iteration 4: mse [0-9.]+ over 5 test images' "${mini[@]}" --out runs "${with[@]}" --iterations 4 --set log_every=1 \
  --set state_every=3 --set eval_every=4
run=runs/00001-invert-mini
grep -qE '"posterior_start":[0-9.]+,"posterior_end":[0-9.]+,"loss_q".*"energy_minus"' "$run/stats.jsonl" ||
  fail "stats.jsonl: $(tail -1 "$run/stats.jsonl")"
"$damc" info "$run/state-000004.safetensors" | grep -qE 'synthesis|block0' && fail "the state holds the frozen networks"
cp -r "$run" stopped-run
rm stopped-run/*-000004.safetensors
succeeds '3 of 4 iterations done' train --resume stopped-run
cmp "$run/state-000004.safetensors" stopped-run/state-000004.safetensors || fail "a resumed run ends elsewhere"
rm stopped-run/*-000004.safetensors
cp "$nets/generator.safetensors" moved.safetensors
succeeds 'changed: generator' train --resume stopped-run --generator moved.safetensors
succeeds 'parameters learn' "${mini[@]}" "${with[@]}" --iterations 4 --dry-run
succeeds 'done' "${mini[@]}" --out runs "${with[@]}" --iterations 2 --method lebm
lebm=runs/00002-invert-mini

echo "-- a table in small"
test=(--images small --count 3)
succeeds 'from encoder' invert "${with[@]}" "${test[@]}" --out encoder --steps 0
succeeds 'mse start [0-9.]+ +over 3 images .*from damc' invert "${with[@]}" --sampler "$run/model-000004.safetensors" \
  --energy "$run/model-000004.safetensors" --sigma 0.3 "${test[@]}" --out damc --steps 2
succeeds 'mse +[0-9.]+ ' invert "${with[@]}" --energy "$lebm/model-000002.safetensors" --sigma 0.3 --from noise \
  "${test[@]}" --out lebm --steps 2
exists damc/w.npy lebm/inversions.png

echo "-- a signal ends an inversion after its batch, and what was found is kept"
code=0
timeout --preserve-status -s TERM 2 "$damc" invert "${with[@]}" --images small --out stopped --batch 1 --steps 20000 --pca-fd \
  >stdout 2>stderr || code=$?
[ $code = 143 ] || fail "a stopped inversion: exit $code: $(cat stdout stderr)"
done=$(sed -n 's/^stopped after \([1-9][0-9]*\) of 20 images$/\1/p' stdout)
grep -aq "'shape': ($done, " stopped/w.npy || fail "w.npy of a stopped inversion: $(cat stdout)"
exists stopped/inversions.png stopped/losses.jsonl

echo "-- in tf32"
succeeds 'mse +[0-9.]+ ' invert "${with[@]}" "${test[@]}" --out rounded --steps 2 --precision tf32
refuses 2 "'bf16'" invert "${with[@]}" "${test[@]}" --out none --precision bf16
refuses 2 'precision = bf16 with preset invert-mini' "${mini[@]}" --out none "${with[@]}" --precision bf16

echo "-- what is missing, or is not what it was"
refuses 2 '--generator FILE' "${mini[@]}" --out none
refuses 2 '--encoder FILE' "${mini[@]}" --out none --generator moved.safetensors
refuses 2 "--generator '.*/nowhere.pth': .*nowhere.pth' does not exist" "${mini[@]}" --out none --generator nowhere.pth --encoder E.pth
refuses 2 "nz = 32, nemb = 64 where W\+ has 64 numbers" "${mini[@]}" --out none "${with[@]}" --set nz=32
for preset in invert-ffhq invert-tower; do
  refuses 2 '--generator FILE' train --preset $preset --out none
  refuses 2 '--encoder FILE' train --preset $preset --out none --generator "$nets/generator.safetensors"
done
refuses 2 'method vae with GAN inversion' "${mini[@]}" --out none "${with[@]}" --method vae
"$damc" bench --suite iteration --preset invert-mini 2>&1 | grep -q 'no generator that makes images' || fail "bench of invert-mini"
refuses 2 'is of GAN inversion' sample "$run" --out none
"$2" G.safetensors E.safetensors V.safetensors Q.safetensors
refuses 2 "makes W\+ of 48 numbers from images of 16x16" "${mini[@]}" --out none --generator moved.safetensors --encoder E.safetensors
succeeds "done" train --resume "$nets" --iterations 4
refuses 2 'learned with encoder [0-9a-f]{64}, generator [0-9a-f]{64}; the files hold' train --resume "$run" --iterations 5
refuses 2 "--sampler .*: it learned with .*; --encoder is" invert "${with[@]}" --sampler "$run/model-000004.safetensors" "${test[@]}" \
  --out none
[ -e none ] && fail "a refused run left a folder behind"
finish
