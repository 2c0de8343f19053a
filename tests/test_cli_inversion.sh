#!/usr/bin/env bash
# damc invert from outside, with small networks that follow a formula.
#   test_cli_inversion.sh DAMC INVERSION_FILES INCEPTION_FILE
# shellcheck source=tests/cli_functions.sh
. "$(dirname "$0")/cli_functions.sh" "$1"
export OMP_NUM_THREADS=2
"$2" G.safetensors E.safetensors V.safetensors Q.safetensors
"$3" inception.safetensors
nets=(--generator G.safetensors --encoder E.safetensors --vgg V.safetensors)
mkdir images
for name in a b c; do cp "$root/tools/bench/results/mnist-quick-samples.png" "images/$name.png"; done
mse() { "$damc" invert "$@" | sed -nE 's/^mse +([0-9.]+) .*/\1/p'; }

echo "-- from the encoder, from noise, in domain"
succeeds 'mse start [0-9.]+ +over 3 images .*from encoder' invert "${nets[@]}" --images images --out one --steps 5 --batch 2
exists one/w.npy one/losses.jsonl one/inversions.png
[ "$(wc -l <one/losses.jsonl)" = 6 ] || fail "losses of another number of steps: $(cat one/losses.jsonl)"
grep -qE '^\{"step":5,"pixel":[0-9.e-]+,"feature":[0-9.e-]+\}$' one/losses.jsonl || fail "$(tail -1 one/losses.jsonl)"
succeeds 'from noise' invert "${nets[@]}" --images images --out two --steps 1 --from noise --npy
exists two/images.npy
succeeds 'mse ' invert "${nets[@]}" --images images --out three --steps 1 --in-domain --count 1
grep -q '"domain":' three/losses.jsonl || fail "no term of the encoder: $(cat three/losses.jsonl)"
few=$(mse "${nets[@]}" --images images --out more --steps 1) many=$(mse "${nets[@]}" --images images --out more --steps 60)
awk "BEGIN { exit !($many < 0.9 * $few) }" || fail "60 steps give $many, 1 gives $few"
succeeds 'mse ' invert --generator G.safetensors --images images/a.png --out four --steps 2
grep -q feature four/losses.jsonl && fail "features without a network"

succeeds 'from damc' invert "${nets[@]}" --sampler Q.safetensors --images images --out seven --steps 1
succeeds 'from noise' invert "${nets[@]}" --energy Q.safetensors --from noise --images images --out lebm --steps 1 --count 1
grep -q '"energy":' lebm/losses.jsonl || fail "no energy: $(cat lebm/losses.jsonl)"
refuses 2 "--energy 'V.safetensors': the weights of the energy have no tensor 'E.ebm.0.weight'" \
  invert --generator G.safetensors --energy V.safetensors --images images --out none
succeeds 'Q_state_dict|PyTorch' convert Q.safetensors Q.pth
succeeds 'from damc' invert "${nets[@]}" --sampler Q.pth --from damc --images images --out eight --steps 1
cmp -s seven/w.npy eight/w.npy || fail "a sampler in a .pth gives another W+"

succeeds 'fid +[0-9.]+ +3/3 fid-float' invert --generator G.safetensors --inception inception.safetensors --images images \
  --out nine --steps 0 --batch 1
succeeds 'pca-fd +[0-9.]+ +3/3 pixels' invert --generator G.safetensors --pca-fd --images images --out ten --steps 0
refuses 2 "pca-fd needs two images" invert --generator G.safetensors --pca-fd --images images --out none --count 1
refuses 2 "fid needs two images" invert --generator G.safetensors --inception inception.safetensors --images images --out none --count 1

echo "-- the images of a batch do not know of each other; PyTorch's files"
succeeds 'mse ' invert "${nets[@]}" --images images --out five --steps 5 --batch 3
close_to one/w.npy five/w.npy
for net in G E V; do succeeds tensors convert $net.safetensors $net.pth; done
succeeds 'mse ' invert --generator G.pth --encoder E.pth --vgg V.pth --images images --out six --steps 5 --batch 2
cmp -s one/w.npy six/w.npy || fail "weights in a .pth give another W+"
succeeds 'synthesis.layer4.weight +F32 +\[3, 3, 8, 6\]' info G.pth

echo "-- what is missing or is not what it should be"
refuses 2 "--generator 'V.safetensors': the weights of StyleGAN's generator have 0 layers" \
  invert --generator V.safetensors --images images --out none
refuses 2 "--vgg 'E.safetensors': the weights of VGG-16 have no tensor 'layer0.bias'" \
  invert --generator G.safetensors --vgg E.safetensors --images images --out none
refuses 2 "nowhere.pth" invert --generator nowhere.pth --images images --out none
refuses 2 "--in-domain needs --encoder FILE" invert --generator G.safetensors --images images --out none --in-domain
refuses 2 "--from encoder needs --encoder FILE" invert --generator G.safetensors --images images --out none --from encoder
refuses 2 "--from damc needs --sampler FILE" invert --generator G.safetensors --images images --out none --from damc
refuses 2 "--sampler 'E.safetensors': .* no tensor 'block0.conv.weight'" \
  invert --generator G.safetensors --sampler E.safetensors --images images --out none
refuses 2 "--images 'no' does not exist" invert --generator G.safetensors --images no --out none
refuses 2 "generator is required" invert --images images --out none
refuses 2 "steps" invert --generator G.safetensors --images images --out none --steps -1
mkdir -p taken/inversions.png taken/images.npy
refuses 2 "inversions.png' names no file" invert --generator G.safetensors --images images --out taken --steps 1
rmdir taken/inversions.png
refuses 2 "images.npy' names no file" invert --generator G.safetensors --images images --out taken --steps 1 --npy
[ -s stdout ] && fail "an inversion worked before it looked at its output"
head -c 3000 G.safetensors >cut.safetensors
refuses 2 "cut.safetensors" invert --generator cut.safetensors --images images --out none
[ -e none ] && fail "a refused inversion left a folder behind"
finish
