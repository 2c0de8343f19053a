#!/usr/bin/env bash
# Data folders on the command line: what info, verify, pack and train say of the same folder.
# shellcheck source=tests/cli_functions.sh
. "$(dirname "$0")/cli_functions.sh" "$1"

tiny=(--batch 2 --iterations 1)
for setting in nz=4 ngf=2 nif=2 nemb=8 grid_every=0 state_every=0 posterior_steps=1 prior_steps=1 diffusion_steps=2; do
  tiny+=(--set "$setting")
done

echo "-- names that are not UTF-8"
latin=$'caf\xe9'
mkdir "$latin"
cp "$root"/data/mnist/*-idx?-ubyte.gz "$latin"
succeeds '60000 images' data info "$latin"
refuses 2 "'caf.xe9' is not UTF-8" train --preset mnist-quick --data "$latin" --out runs
cd "$latin" || exit 1
refuses 2 'is not UTF-8' train --preset mnist-quick --data . --out ../runs
cd .. || exit 1
[ -e runs ] && fail "a refused training left a run folder behind"

echo "-- what is left out, links"
mkdir faces
for name in a b c; do cp "$root/tools/bench/results/mnist-quick-samples.png" "faces/$name.png"; done
touch faces/d.heic faces/e.heic faces/f.tif
ln -s faces linked
ln -s nowhere faces/lost.png
left="2 .heic, 1 .tif, 1 broken link or special file"
succeeds "left out: $left .*lost.png" data info linked
succeeds "ok +left out: $left" data verify linked
succeeds "left out: $left" data pack linked packed --preset celeba64
for place in faces/a.png faces/a.png/below; do
  refuses 2 "cannot create the folder '$place' of OUT" data pack linked "$place" --preset celeba64
  [ -s stdout ] && fail "'data pack' worked before it looked at its output"
done
succeeds "left out: $left" train --preset celeba64 "${tiny[@]}" --data linked --out runs
head -c 300 faces/a.png >faces/cut.png
refuses 2 'fails 2 of 3 checks' data verify linked
refuses 2 "cut.png': it ends too early" train --preset celeba64 --data linked --out refused
[ -e refused ] && fail "a refused training left a run folder behind"

mkdir weird
cp faces/a.png $'weird/line\nbreak.png'
touch $'weird/a.b\ac'
ln -s nowhere $'weird/x\ey.png'
succeeds 'left out: 1 .b.x07c, 1 broken link .*x.x1by.png' data info weird
head -c 300 faces/a.png >$'weird/line\nbreak.png'
refuses 2 'line.nbreak.png' train --preset celeba64 --data weird --out refused
refuses 2 'fails 2 of 3' data verify weird
grep -q '^FAILED line.nbreak.png: cannot decode .*line.nbreak.png' stdout || fail "a name on two lines: $(cat stdout)"

echo "-- where a pack goes"
for place in nowhere nowhere/deeper; do refuses 2 "the data folder '$place' does not exist" data pack $place none --size 8; done
mkdir own
cp faces/b.png own
refuses 2 "OUT 'own' is the folder of the images" data pack own own --size 8
refuses 2 "OUT 'own/.' is the folder of the images" data pack own own/. --size 8
succeeds 'own/small: 1 images' data pack own own/small --size 8
succeeds '1 images' data info own

echo "-- folders to train and to test on"
mkdir -p parts/set/Train parts/set/val
for name in a b c; do cp faces/a.png "parts/set/Train/$name.png"; done
cp faces/b.png parts/set/val/a.png
succeeds 'note +the first 3 train, 1 test$' data info parts
succeeds 'data: 3 training and 1 test images' train --preset celeba64 "${tiny[@]}" --data parts --dry-run
mkdir parts/set/test
cp faces/c.png parts/set/test/z.png
succeeds 'the first 3 train, 1 test; left out: 1 images beside those' data info parts
succeeds 'left out: 1 images beside those' data pack parts packed-parts --size 8
succeeds 'a folder of images; the first 3 train, 1 test$' data info packed-parts

echo "-- near misses"
for name in train-images train-labels t10k-images t10k-labels; do
  case $name in *images) rank=3 ;; *) rank=1 ;; esac
  mkdir -p dots
  cp "$root/data/mnist/$name-idx$rank-ubyte.gz" "dots/$name.idx$rank-ubyte.GZ"
done
succeeds '60000 images' data info dots
succeeds 'ok +t10k-labels-idx1-ubyte: md5' data verify dots
succeeds 'done' train --preset mnist-quick "${tiny[@]}" --data dots --out moved
mv dots elsewhere
run=$(echo moved/*)
for command in "eval $run" "train --resume $run --iterations 2"; do
  # shellcheck disable=SC2086 # words
  refuses 2 "the data folder '.*/dots' does not exist" $command
  # shellcheck disable=SC2086
  "$damc" $command 2>&1 >stdout | grep -q '^hint: .*--data DIR' || fail "$command does not say how to name the new place"
done
succeeds 'mse' eval "$run" --data elsewhere --samples 4
mkdir packed-up
touch packed-up/cifar-10-binary.tar.gz
for action in "data info" "data verify" "train --preset cifar10 --data"; do
  # shellcheck disable=SC2086 # words
  refuses 2 "cifar-10-binary.tar.gz' is an archive" $action packed-up
done

finish
