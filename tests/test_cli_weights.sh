#!/usr/bin/env bash
# Weights in and out: convert, info and apply on PyTorch's files, training that begins with given weights.
#   test_cli_weights.sh DAMC
# shellcheck source=cli_functions.sh
. "$(dirname "$0")/cli_functions.sh"
export OMP_NUM_THREADS=1 # the nets are tiny, and other tests run beside
golden=$root/tests/golden/apply files=$root/tests/golden/files
narrow=(--preset svhn)
for setting in nz=10 ngf=4 nif=4 nemb=16 ndf=16 width=0.0625; do narrow+=(--set "$setting"); done

echo "-- there and back"
succeeds '^a.pth: PyTorch, 196 tensors$' convert "$golden/weights.safetensors" a.pth
succeeds '^b.safetensors: safetensors, ' convert a.pth b.safetensors
succeeds '^c.pth: PyTorch, [0-9]* tensors$' convert b.safetensors c.pth
succeeds 'safetensors' convert c.pth d.out --to safetensors
cmp a.pth c.pth && cmp b.safetensors d.out || fail "weights change on their way"
for weights in "$golden/weights.safetensors" a.pth b.safetensors; do
  succeeds 'f32' apply energy "${narrow[@]}" --weights "$weights" --in "z=$golden/z.npy" --out "$(basename "$weights").npy"
  cmp weights.safetensors.npy "$(basename "$weights").npy" || fail "$weights is another energy"
done
succeeds 'safetensors, 407 tensors$' convert "$files/authors.pth.tar" authors.safetensors
succeeds 'PyTorch, 407 tensors$' convert authors.safetensors authors.pth
succeeds '407 tensors' convert authors.pth again.safetensors
cmp authors.safetensors again.safetensors || fail "a checkpoint of the authors changes on its way"
succeeds 'state.safetensors: safetensors, 20 tensors; left out: 2 values \(args, best\)$' convert "$files/state.pth" state.safetensors
succeeds '20 tensors; left out: 2' convert "$files/legacy.pth" legacy.safetensors
cmp state.safetensors legacy.safetensors || fail "the two forms of PyTorch's files differ"
succeeds '20 tensors; left out: 8 values \(7.seven, betas, done, iter, \.\.\.\)$' convert state.safetensors state.pth
cp state.safetensors same.safetensors
succeeds '20 tensors' convert same.safetensors same.safetensors
cmp state.safetensors same.safetensors || fail "a file converted onto itself"
"$damc" convert authors.safetensors /dev/stdout --to torch 2>message | cmp authors.pth - || fail "convert into a pipe: $(cat message)"

echo "-- what a file holds"
succeeds 'views.channels_last +F32 +\[2, 3, 4, 5\]' info "$files/state.pth"
succeeds 'metadata iter: 1234' info "$files/legacy.pth"
succeeds 'Q.encoder +4888 parameters' info "$files/authors.pth.tar"
succeeds '^adam_g.schedule +F64 +\[3\]' info "$files/authors.pth.tar"

echo "-- what is refused"
refuses 2 'it calls "posix.system"' convert "$files/code.pth" none.safetensors
refuses 2 'it calls "torch.nn.modules' convert "$files/module.pth" none.safetensors
refuses 2 'TorchScript' info "$files/script.pth"
refuses 2 'not one of PyTorch' convert "$files/stats.npz" none.safetensors
refuses 2 "the name of 'none' does not say" convert "$files/state.pth" none
refuses 2 "the name of 'none.gguf' does not say" convert "$files/state.pth" none.gguf
refuses 2 "to safetensors: by its ending 'none.PTH' would be torch" convert "$files/state.pth" none.PTH --to safetensors
refuses 2 "to torch: by its ending 'none.safetensors' would be safetensors" convert "$files/state.pth" none.safetensors --to torch
refuses 2 '--to' convert "$files/state.pth" none.pth --to onnx
refuses 2 "'nowhere.pth' does not exist" convert nowhere.pth none.safetensors
refuses 2 'OUT' convert "$files/state.pth" nowhere/none.pth
refuses 2 'is required' convert "$files/state.pth"
head -c 3000 "$files/state.pth" >cut.pth
refuses 2 'not a whole zip archive' convert cut.pth none.safetensors
head -c 3000 "$files/legacy.pth" >cut.pth
refuses 2 'ends within|too few|pickle has no end' convert cut.pth none.safetensors
: >empty.pth
refuses 2 'too few for a header' convert empty.pth none.safetensors
refuses 1 "/dev/full': No space left" convert "$files/state.pth" /dev/full --to torch
index='{"weight_map": {"a": "model-00001-of-00002.safetensors"}}'
printf %s "$index" >model.safetensors.index.json
refuses 2 'is JSON, as the index' info model.safetensors.index.json
ls none* 2>/dev/null | grep . && fail "a refused conversion left a file"

echo "-- training that begins with given weights"
small_set small 0 200 24
start=(train --preset mnist-quick "${tiny[@]}" --set test_posterior_steps=2 --set sample_prior_steps=2 --set state_every=2
  --set grid_every=0 --batch 8 --data small)
succeeds 'done' "${start[@]}" --iterations 4 --out whole
run=whole/00000-mnist-quick
succeeds "weights of $run/state-000002.safetensors, with its optimisers after 2 iterations$" \
  "${start[@]}" --iterations 4 --init "$run/state-000002.safetensors" --out forked
cmp "$run/state-000004.safetensors" forked/00000-mnist-quick/state-000004.safetensors || fail "a run from another's state differs"
succeeds 'left out: 1 value \(noise.position\)$' convert "$run/state-000002.safetensors" two.pth.tar
succeeds 'with its optimisers after 2 iterations$' "${start[@]}" --iterations 4 --init two.pth.tar --out theirs
succeeds 'left out: 1 value' convert theirs/00000-mnist-quick/state-000002.safetensors again.pth.tar
cmp two.pth.tar again.pth.tar || fail "a run from a checkpoint in the authors' layout begins with something else"
exists theirs/00000-mnist-quick/{model,state}-000004.safetensors
succeeds "weights of $run/model-000004.safetensors$" "${start[@]}" --iterations 2 --init "$run/model-000004.safetensors" --out fresh
weights=(--preset mnist-quick "${tiny[@]}" --in z=z.npy --out)
zeros z.npy '(2, 4)' 8
succeeds f32 apply generator "${weights[@]}" one.npy --weights "$run/model-000004.safetensors"
succeeds f32 apply generator "${weights[@]}" two.npy --weights fresh/00000-mnist-quick/state-000000.safetensors
cmp one.npy two.npy || fail "a run begins with other weights than it was given"
grep -q "weights of $run" fresh/00000-mnist-quick/log.txt || fail "log.txt does not say what a run began with"
succeeds 'done' train --resume fresh/00000-mnist-quick --iterations 3
succeeds 'not used: 6 \(E.ebm.0.bias, E.ebm.0.weight, E.ebm.2.bias, E.ebm.2.weight, \.\.\.\)$' \
  "${start[@]}" --method damc-g --iterations 1 --init "$run/model-000004.safetensors" --out gaussian
succeeds 'so 4 take about' "${start[@]}" --iterations 4 --init "$run/model-000004.safetensors" --dry-run --out none
refuses 2 '--init with --resume' train --resume "$run" --init two.pth.tar
refuses 2 "'nowhere.pth' does not exist" "${start[@]}" --init nowhere.pth --out none
refuses 2 '2 iterations behind it, 1 were asked for' "${start[@]}" --iterations 1 --init two.pth.tar --out none
refuses 2 "no weight named 'G.gen.0.weight'" "${start[@]}" --init "$files/state.pth" --out none
refuses 2 "weight 'G.gen.0.weight' has shape" "${start[@]}" --init b.safetensors --out none
[ -e none ] && fail "a refused training left a folder behind"
finish
