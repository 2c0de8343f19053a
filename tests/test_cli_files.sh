#!/usr/bin/env bash
# Where results go, and what arrays and weights are read from.   test_cli_files.sh DAMC
# shellcheck source=cli_functions.sh
. "$(dirname "$0")/cli_functions.sh"
golden=$root/tests/golden/apply
narrow=(--preset svhn --weights "$golden/weights.safetensors")
for setting in nz=10 ngf=4 nif=4 nemb=16 ndf=16 width=0.0625; do narrow+=(--set "$setting"); done
energy=(apply energy "${narrow[@]}" --in "z=$golden/z.npy" --out)
mkdir -p runs/made
printf 'preset = "svhn"\nnz = 10\nngf = 4\nnif = 4\nnemb = 16\nndf = 16\nwidth = 0.0625\nsample_prior_steps = 2\ntest_posterior_steps = 2\n' >runs/made/config.toml
cp "$golden/weights.safetensors" runs/made/model-000005.safetensors

echo "-- outputs through links, onto devices, into pipes"
succeeds 'plain.npy: f32' "${energy[@]}" plain.npy
succeeds 'PLAIN.NPY: f32' "${energy[@]}" PLAIN.NPY
refuses 2 "'PICTURES.PNG' is the folder that takes the files" sample runs/made --out PICTURES.PNG
mkdir far
ln -s ../far/energy.npy runs/link.npy
succeeds 'link.npy: f32' "${energy[@]}" runs/link.npy
[ -L runs/link.npy ] || fail "a link was replaced"
cmp plain.npy far/energy.npy || fail "what was written through a link"
chmod 640 far/energy.npy
succeeds 'link.npy: f32' "${energy[@]}" runs/link.npy
[ "$(stat -c %a far/energy.npy)" = 640 ] || fail "the mode of a file that was written again: $(stat -c %a far/energy.npy)"
succeeds 'null: f32' "${energy[@]}" /dev/null
[ -c /dev/null ] || fail "/dev/null was replaced"
refuses 1 "cannot write '/dev/full': No space left" "${energy[@]}" /dev/full
"$damc" "${energy[@]}" /dev/stdout >redirected.npy 2>message || fail "apply to /dev/stdout: $(cat message)"
cmp plain.npy redirected.npy || fail "what apply writes to a redirected /dev/stdout"
"$damc" "${energy[@]}" /dev/stdout >redirected.npy 2>/dev/full || fail "apply fails where nobody reads what it says aside"
"$damc" "${energy[@]}" /dev/stdout 2>message | cmp plain.npy - || fail "what apply writes to a pipe"
mkfifo pipe
cat pipe >piped.npy &
succeeds 'pipe: f32' "${energy[@]}" pipe
wait $!
cmp plain.npy piped.npy || fail "what apply writes to a named pipe"
mkdir linked
ln -s ../far/picture.png linked/samples-gaussian.png
succeeds '3 images' sample runs/made --from gaussian --count 3 --out linked
[ -L linked/samples-gaussian.png ] || fail "sample replaced a link"
exists far/picture.png
ln -s far/floors.json floors.json
succeeds 'total' bench --floors --preset mnist-quick --json floors.json
[ -L floors.json ] || fail "bench replaced a link"
"$damc" bench --floors --preset mnist-quick --json /dev/stdout 2>table | cmp far/floors.json - || fail "bench to /dev/stdout"
grep -q total table || fail "the table of bench beside JSON on standard output"

echo "-- places that cannot be are told before any work"
: >file
for command in 'train --preset mnist-quick --data nowhere' 'sample runs/made' 'chain runs/made' toy \
  'reconstruct runs/made --images nowhere'; do
  # shellcheck disable=SC2086
  refuses 2 'file is not a folder' $command --out file
  # shellcheck disable=SC2086
  refuses 2 'file is not a folder' $command --out file/below
  # shellcheck disable=SC2086
  refuses 2 'cannot be written to' $command --out /proc/damc
done
refuses 2 'file is not a folder' data pack nowhere file --preset celeba64
mkdir -p taken/samples-damc.png taken/chain-5.png taken/reconstructions.png taken/samples-lebm.npy
refuses 2 'samples-damc.png. names no file' sample runs/made --out taken
refuses 2 'samples-lebm.npy. names no file' sample runs/made --from lebm --npy --out taken
refuses 2 'chain-5.png. names no file' chain runs/made --steps 5 --out taken
for place in . file/x.npy nowhere/x.npy /proc/x.npy; do refuses 2 'out' "${energy[@]}" "$place"; done

echo "-- places that cannot be looked at"
long=$(printf 'a%.0s' {1..300})
cannot_look() { # cannot_look FILE REASON
  local look="cannot look at '$1[^']*': $2"
  refuses 2 "$look" info "$1"
  refuses 2 "$look" convert "$1" none.pth
  refuses 2 "$look" reconstruct runs/made --images "$1" --out none
  refuses 2 "$look" sample runs/made --from "file:$1" --out none
  refuses 2 "$look" apply energy "${narrow[@]}" --in "z=$1" --out none.npy
  refuses 2 "$look" data info "$1"
  refuses 2 "$look" data pack "$1" none --size 8
  refuses 2 "$look" compare "$1"
  refuses 2 "$look" invert --generator "$1" --images . --out none
}
cannot_look "$long" 'File name too long'
refuses 2 'File name too long' toy --out "$long"
bounds=()
[ "$(id -u)" = 0 ] && bounds=(setpriv --bounding-set -dac_override,-dac_read_search --inh-caps -dac_override,-dac_read_search)
if "${bounds[@]}" true; then
  { echo '#!/bin/sh'; echo "exec ${bounds[*]} '$damc' \"\$@\""; } >bounded # without what root may do
  chmod +x bounded
  unbounded=$damc damc=$PWD/bounded
  mkdir -p closed/below runs/made/private sealed
  : >closed/file
  cp "$golden/z.npy" unreadable.npy
  mkdir blind
  chmod 333 blind
  chmod 000 closed runs/made/private unreadable.npy
  chmod 555 sealed
  cannot_look closed/file 'Permission denied'
  refuses 2 "closed': Permission denied" table 1 --runs closed
  refuses 2 "cannot look at 'closed/config.toml': Permission denied" movie closed
  refuses 2 "cannot open 'unreadable.npy': Permission denied" apply energy "${narrow[@]}" --in z=unreadable.npy --out none.npy
  refuses 2 "cannot read the folder 'closed': Permission denied" data info closed
  refuses 2 "cannot read the folder 'closed': Permission denied" data verify closed
  refuses 2 "cannot read the folder '.*closed': Permission denied" train --preset mnist-quick --data closed --dry-run
  refuses 2 "cannot read the folder 'blind': Permission denied" train --preset mnist-quick --data "$root/data/mnist" --out blind
  [ "$(ls -A blind)" ] && fail "a training that cannot begin leaves $(ls -A blind)"
  refuses 2 "sealed/out' cannot be written to: .*Permission denied" sample runs/made --out sealed/out
  refuses 2 "cannot create 'sealed/x.npy': Permission denied" "${energy[@]}" sealed/x.npy
  refuses 2 "OUT 'sealed' cannot be written to: .*Permission denied" data pack out sealed --size 8
  succeeds 'config.toml' info runs/made
  succeeds '^private +cannot be read: Permission denied' info runs/made
  mkdir -p runs/made/grids
  chmod 000 runs/made/grids
  for command in movie report; do
    refuses 2 "cannot read the folder 'runs/made/grids': Permission denied" $command runs/made
  done
  chmod 555 runs/made
  refuses 2 "--resume 'runs/made' cannot be written to: .*Permission denied" train --resume runs/made
  chmod 311 runs/made # of what is there, nothing can be listed
  for command in info report 'sample --out none'; do
    # shellcheck disable=SC2086
    refuses 2 "cannot read the folder 'runs/made': Permission denied" $command runs/made
  done
  chmod 755 blind closed runs/made runs/made/private runs/made/grids sealed
  damc=$unbounded
fi

echo "-- a folder that a command made does not stay without anything in it"
mkdir there images
printf 'P5 8 8 255\n' >images/short.pgm
for command in 'sample runs/made --separate' 'chain runs/made --steps 2' \
  "reconstruct runs/made --images $root/tests/golden/images/source.png" "train --preset mnist-quick --data $root/data/mnist"; do
  for place in new/deep there there/new; do
    # shellcheck disable=SC2086
    message=$(ulimit -f 0; "$damc" $command --out $place 2>&1 | cat)
    grep -q 'error: .*File too large' <<<"$message" || fail "$command without room: $message"
  done
done
refuses 2 'short.pgm' data pack images new/deep --size 8
[ -e new ] && fail "an empty folder stays: $(find new)"
[ "$(find there)" = there ] || fail "folders that were there, and none else: $(find there)"

echo "-- arrays as numpy writes them"
refuses 2 'in z= names no file' apply energy "${narrow[@]}" --in z= --out none.npy
ten() { # ten FILE DESCR ORDER CODES: (2, 10) elements, all zero but the first
  { printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "{'descr': '$2', 'fortran_order': $3, 'shape': $4, }"
    printf "$5"; } >"$1"
}
nineteen=$(printf '\\x00\\x00%.0s' {1..19})
ten i2.npy '<i2' False '(2, 10)' "\x03\x00$nineteen"
ten big.npy '>i2' True '(2, 10)' "\x00\x03$nineteen"
ten half.npy '<f2' False '(2L, 10L)' "\x00\x42$nineteen"
for file in i2 big half; do
  succeeds 'f32 \[2\]' apply energy "${narrow[@]}" --in "z=$file.npy" --out "energy-$file.npy"
  cmp energy-i2.npy "energy-$file.npy" || fail "3 as $file is another number"
done
ten bool.npy '|b1' False '(2, 10)' '\x01'
refuses 2 "'bool.npy': dtype '|b1' is not supported" apply energy "${narrow[@]}" --in z=bool.npy --out none.npy

echo "-- weights with more than is asked for"
entry='"extra":{"dtype":"BOOL","shape":[1,1,1,1,1,1,1,1,3],"data_offsets":[LAST,END],"note":{"a":[1]}}'
length=$(od -An -tu8 -N8 "$golden/weights.safetensors" | tr -d ' ')
data=$(($(stat -c %s "$golden/weights.safetensors") - 8 - length))
header=$(head -c $((8 + length)) "$golden/weights.safetensors" | tail -c +9)
header="{\"__metadata__\":null,${entry/LAST,END/$data,$((data + 3))},${header#\{}"
[[ $header == *__metadata__*__metadata__* ]] && header=${header/\"__metadata__\":null,/}
number=${#header} bytes=
for _ in 1 2 3 4 5 6 7 8; do bytes+=$(printf '\\x%02x' $((number % 256))) number=$((number / 256)); done
{ printf "$bytes"; printf %s "$header"; tail -c +$((9 + length)) "$golden/weights.safetensors"; printf abc; } >more.safetensors
succeeds 'extra +BOOL +\[1, 1, 1, 1, 1, 1, 1, 1, 3\]' info more.safetensors
succeeds 'f32' apply energy --preset svhn --weights more.safetensors "${narrow[@]:4}" --in "z=$golden/z.npy" --out more.npy
cmp plain.npy more.npy || fail "an extra tensor changes what is computed"

echo "-- latent vectors out and in"
succeeds '5 images' sample runs/made --from damc,gaussian --count 5 --out out --npy --separate
succeeds 'samples-z-damc.png: 5 images' sample runs/made --from file:out/z-damc.npy --out out --npy
cmp out/samples-damc.npy out/samples-z-damc.npy || fail "latent vectors that were written decode to other images"
cmp out/z-damc.npy out/z-z-damc.npy || fail "latent vectors change on their way"
succeeds ': 2 images' sample runs/made --from file:out/z-gaussian.npy --count 2 --out out
succeeds 'over 3 images' reconstruct runs/made --images out/samples-damc --count 3 --out out --npy
exists out/reconstructions.npy out/z.npy
succeeds ': 3 images' sample runs/made --from file:out/z.npy --out decoded --npy
cmp out/reconstructions.npy decoded/samples-z.npy || fail "reconstructions are not their latent vectors decoded"
refuses 2 "shape \[2\], expected \[N, 10\]" sample runs/made --from file:plain.npy --out out
refuses 2 "holds 5 latent vectors" sample runs/made --from file:out/z-damc.npy --count 6 --out out
refuses 2 "'nowhere.npy' does not exist" sample runs/made --from file:nowhere.npy --out out
refuses 2 'written twice' sample runs/made --from damc,damc --out out
refuses 2 'nothing is drawn' sample runs/made --from file:out/z-damc.npy --seed 2 --out out
finish
