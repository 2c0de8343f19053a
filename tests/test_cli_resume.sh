#!/usr/bin/env bash
# Going on with a run, from outside: changes, divergence, damage, moved data.   test_cli_resume.sh DAMC
. "$(dirname "$0")/cli_functions.sh"
export OMP_NUM_THREADS=1 # the nets are tiny, and other tests run beside
small_set small 0 200 24
start=(--preset mnist-quick "${tiny[@]}" --set test_posterior_steps=2 --set sample_prior_steps=2 --set log_every=1 --batch 8)
begin() { # begin FOLDER OPTIONS: a run of its own, whose folder becomes $run
  local parent=$1
  shift
  succeeds 'done' train "${start[@]}" --data small --out "$parent" "$@"
  run=$(echo "$parent"/00000-mnist-quick)
}
unchanged() { # unchanged COMMAND: that leaves the run as it is
  find "$run" -type f -exec sha256sum {} + | sort >before.txt
  "$@"
  find "$run" -type f -exec sha256sum {} + | sort >after.txt
  cmp -s before.txt after.txt || fail "files of $run differ after: $*"
}

echo "-- options are obeyed or refused"
: >folder.txt
begin plain --iterations 4 --set state_every=2 --set grid_every=2
for names in config.toml log.txt stats.jsonl state-00000{2,4}.safetensors model-00000{2,4}.safetensors \
  grids/{reals-000000,samples-damc-000000,samples-lebm-000004,reconstructions-000002}.png; do exists "$run/$names"; done
grep -q '"images_seen":32,.*"time":"20..-..-..T..:..:..Z"' "$run/stats.jsonl" || fail "stats.jsonl: $(tail -1 "$run/stats.jsonl")"
grep -qE '^20..-..-..T..:..:..Z done: ' "$run/log.txt" || fail "log.txt has no end: $(cat "$run/log.txt")"
unchanged succeeds '5 take about|two iterations took .* so 5 take' train --resume "$run" --iterations 9 --dry-run
succeeds 'so 7 take about' train "${start[@]}" --data small --iterations 7 --dry-run --out dry
succeeds 'not measured; with --data' train --preset svhn --dry-run
refuses 2 'nowhere' train "${start[@]}" --data nowhere --dry-run
refuses 2 "folder.txt' of --out" train "${start[@]}" --data small --dry-run --out folder.txt
[ -e dry ] && fail "--dry-run leaves a folder"
unchanged refuses 2 '--out with --resume' train --resume "$run" --out elsewhere
unchanged refuses 2 "--preset svhn for a run of preset mnist-quick" train --resume "$run" --preset svhn
unchanged refuses 2 "nz = 8: this run has nz = 4" train --resume "$run" --set nz=8
unchanged refuses 2 "holdout = 3: this run" train --resume "$run" --holdout 3
unchanged refuses 2 "4 iterations behind it, 3 were" train --resume "$run" --iterations 3
refuses 2 'state-000004.safetensors is a file of a run' train --resume "$run/state-000004.safetensors"
for name in grids log.txt stats.jsonl metrics.jsonl; do
  [ -e "$run/$name" ] && mv "$run/$name" kept
  mkfifo "$run/$name"
  refuses 2 "$run/$name' is not a (folder|regular file)" train --resume "$run" --iterations 5
  [ $name = metrics.jsonl ] && refuses 1 "cannot write to $run/$name: No such device" eval "$run"
  rm "$run/$name"
  [ -e kept ] && mv kept "$run/$name"
done
refuses 2 "--resume '' is empty" train --resume '' "${start[@]}" --data small
refuses 2 "--config '' is empty" train --config '' "${start[@]}" --data small
refuses 2 "batch=4 beside --batch 8" train "${start[@]}" --set batch=4 --data small
mkdir folder && echo 'lr_g = 0.5' >folder/my.toml
refuses 2 'configuration file folder is a folder' train "${start[@]}" --data small --config folder --out none
refuses 2 "for preset 'mnist-quick', not for 'svhn'" train --preset svhn --config "$run/config.toml" --out none
[ -e none ] && fail "a refused training left a folder behind"
succeeds '^lr_g = 0.5 ' train "${start[@]}" --dry-run --config <(cat folder/my.toml)
succeeds 'done' train --config "$run/config.toml" --out like
cmp "$run/state-000004.safetensors" like/*/state-000004.safetensors || fail "a run from a run's config.toml differs"

echo "-- changes are made, noted and kept"
printf 'log_every = 2\n' >every.toml
succeeds 'changed: lr_g = 0.0005, was 0.001' train --resume "$run" --iterations 6 --set lr_g=0.0005 --set seed=3 --batch 4 --config every.toml
for change in 'iterations = 6, was 4' 'lr_g = 0.0005, was 0.001' 'seed = 3, was 1' 'batch = 4, was 8' 'log_every = 2, was 1'; do
  grep -qE "^20[-0-9]+T[0-9:]+Z changed: $change" "$run/log.txt" || fail "log.txt does not tell of $change: $(cat "$run/log.txt")"
done
grep -q '^lr_g = 0.0005 ' "$run/config.toml" || fail "config.toml does not hold a change"
grep -q '"iteration":6,"images_seen":40,' "$run/stats.jsonl" || fail "images_seen: $(tail -1 "$run/stats.jsonl")"
sed -i 's/^batch = 4 /batch = 5 /' "$run/config.toml"
succeeds 'changed: batch = 5, was 4' train --resume "$run" --iterations 7
sed -i 's/^ngf = 2 /ngf = 3 /' "$run/config.toml"
refuses 2 'ngf = 3: this run has ngf = 2' train --resume "$run" --iterations 8
sed -i 's/^ngf = 3 /ngf = 2 /' "$run/config.toml"

echo "-- data that moved, and other data"
mv small moved
refuses 2 "'.*small'" train --resume "$run" --iterations 8
succeeds 'done' train --resume "$run" --iterations 8 --data moved
grep -q "^data = '$PWD/moved'" "$run/config.toml" || fail "the run does not know where its data are"
small_set others 1 200 24
small_set fewer 0 150 24
unchanged refuses 2 'others holds 200 training .*; the run learned from 200 training' train --resume "$run" --iterations 9 --data others
unchanged refuses 2 'fewer holds 150 training .*; the run learned from 200 training' train --resume "$run" --iterations 9 --data fewer
mv moved small

echo "-- an abandoned branch is dropped"
begin back --iterations 6 --set state_every=2 --set grid_every=2 --set eval_every=2
cp -r "$run" kept
rm "$run/state-000006.safetensors"
succeeds 'done' train --resume "$run" --iterations 5
find "$run" -name '*-000006.*' | grep . && fail "files of the abandoned branch stay"
grep -qE '"iteration":6,|iteration 6 ' "$run"/{stats,metrics}.jsonl "$run/log.txt" && fail "lines of the abandoned branch stay"
succeeds 'after 5 iterations' eval "$run" --data small
rm kept/state-*
run=kept
unchanged refuses 2 'weights after 6 iterations, but no state' train --resume kept --iterations 8

echo "-- damaged, renamed and newer states"
begin damage --iterations 6 --set state_every=2
state=$run/state-000006.safetensors
cp "$state" whole && cp "$run/state-000004.safetensors" older
again() { refuses 2 "$1" train --resume "$run" --iterations 8; }
whole() { grep -q '^hint: state-000004.safetensors is whole: remove the damaged file' <<<"$message" || fail "no way to go on: $message"; }
message=$(head -c 20000 whole >"$state"; "$damc" train --resume "$run" --iterations 8 2>&1)
whole
: >"$state"
again state-000006
cp older "$state"
again 'state-000006.safetensors holds what was there after iteration 4, not 6'
header=$((8 + $(od -An -tu8 -N8 whole)))
flipped() { { head -c $1 whole; head -c $(($1 + 1)) whole | tail -c 1 | tr '\0-\377' '\1-\377\0'; tail -c +$(($1 + 2)) whole; } >"$state"; }
for at in $header $((header + 4001)) $(($(stat -c %s whole) - 1)); do
  flipped $at
  message=$("$damc" train --resume "$run" --iterations 8 2>&1)
  grep -qE 'state-000006.safetensors: its tensors are not those that were written: CRC-32' <<<"$message" || fail "byte $at differs: $message"
  whole
  refuses 2 'its tensors are not those that were written' convert "$state" laundered.pth
  [ -e laundered.pth ] && fail "a damaged state was converted"
done
{ head -c $header whole | sed 's/"crc32"/"xxxxx"/'; printf '\0\0\300\177'; tail -c +$((header + 5)) whole; } >"$state" # the first number becomes NaN
message=$("$damc" train --resume "$run" --iterations 8 2>&1)
grep -q 'not finite' <<<"$message" || fail "a NaN in a state: $message"
whole
sed 's/"damc_format":"1"/"damc_format":"2"/' whole >"$state"
again 'has format 2; this program reads formats up to 1'
sed 's/"damc_format":"1"/"xxxx_format":"1"/' whole >"$state" # as before there was a number
succeeds 'done' train --resume "$run" --iterations 7
cp "$run/model-000006.safetensors" "$run/model-000007.safetensors"
refuses 2 'model-000007.safetensors holds what was there after iteration 6' eval "$run"

echo "-- divergence"
wild=(--set lr_g=10 --set lr_e=10 --set lr_q=10 --set grad_clip=0 --set lr_min=10 --set state_every=4)
odd=$'-it\'s "diverged"\n$HOME\t\\ \e\xff;'
refuses 1 'iteration [0-9]+: sampler .* is (infinite|nan)' train "${start[@]}" "${wild[@]}" --iterations 24 --data small --out="$odd"
run="./$odd/00000-mnist-quick"
tail -1 "$run/log.txt" | grep -qE 'Z ended by an error after iteration [0-9]+: iteration [0-9]+: sampler' ||
  fail "log.txt does not say why the run ended: $(tail -1 "$run/log.txt")"
tame=$("$damc" train --resume="${run#./}" 2>&1 | sed -n "s/^hint: damc \(.*\) goes on.*/\1/p")
[ -n "$tame" ] || fail "no way to go on after a divergence"
eval "succeeds 'done' ${tame//=5/=0.0001} --set lr_min=0.0001" # whatever the folder's name is
begin rolled "${wild[@]}" --iterations 24 --set on_nan=rollback --set on_nan_retries=30
grep -qE 'Z diverged: iteration 1: .*; rollback 1 of 30 to iteration 0: other noise, half the learning rates' "$run/log.txt" ||
  fail "log.txt does not tell of a rollback: $(cat "$run/log.txt")"
grep -qE '"lr_g":10.0' "$run/stats.jsonl" && fail "the rates are not halved"
rollbacks=$(grep -c 'Z diverged' "$run/log.txt")
begin twice "${wild[@]}" --set on_nan=rollback --set on_nan_retries=30 --iterations 2 # where no state falls due
succeeds 'done' train --resume "$run" --iterations 24
cmp rolled/*/state-000024.safetensors "$run/state-000024.safetensors" || fail "a run that stops between rollbacks differs"
refuses 1 "after rollback $((rollbacks - 1))" train "${start[@]}" "${wild[@]}" --iterations 24 --set on_nan=rollback --set on_nan_retries=$((rollbacks - 1)) --data small --out none

echo "-- few models"
begin few --iterations 6 --set state_every=1 --set keep_models=2
[ "$(cd "$run" && echo model-*)" = "model-000005.safetensors model-000006.safetensors" ] || fail "keep_models=2 keeps $(ls "$run")"

finish
