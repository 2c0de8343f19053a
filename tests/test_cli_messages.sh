#!/usr/bin/env bash
# What the program says: mistakes in one line that names them, help and progress that fit the screen.
#   test_cli_messages.sh DAMC
# shellcheck source=cli_functions.sh
. "$(dirname "$0")/cli_functions.sh"
tiny=(--set nz=4 --set ngf=2 --set nif=2 --set nemb=8 --set ndf=8 --set width=0.0625 --set diffusion_steps=5)

hint() { # hint PATTERN ARGUMENTS: a refusal with that hint
  local pattern=$1 message
  shift
  message=$("$damc" "$@" 2>&1 >/dev/null) && fail "damc $*: accepted"
  grep -qE -- "^hint: .*$pattern" <<<"$message" || fail "damc $*: no hint '$pattern' in: $message"
}

echo "-- names that were mistyped"
refuses 2 "unknown command 'trian'" trian
hint "did you mean 'train'" trian
hint "did you mean 'train'" Train --preset mnist-quick
hint "did you mean 'verify'" data verfy .
hint "did you mean 'sample'" help smaple
hint "did you mean 'mnist-quick'" train --preset mnist_quick --data x
hint "did you mean 'celeba64'" data pack . out --preset celeba65
hint "did you mean '--iterations'" train --preset svhn --iteration 3
hint "'train --help' lists all|damc train --help" train --preset svhn --frobnicate 3
hint "write --set nz=VALUE" train --preset svhn --nz 3
hint "did you mean 'auprc'" eval x --metric auprcs
hint "did you mean 'lebm'" sample x --out y --from lbem
hint "did you mean 'prior-chain'" apply prior_chain --preset svhn --weights x --in z=x --out x
hint "did you mean 'iteration'" bench --suite iterations
refuses 2 "'train' takes no '--frob'" train --frob --preset svhn --other 3

hint "did you mean '--iterations'\?$" train --preset svhn --iter 3
hint "write it after 'train', and before any '--'" --preset svhn train
refuses 2 '--seed is given 2 times' sample x --seed 1 --seed 2 --out y
refuses 2 '--config has no value' train --config=
refuses 2 "'train' has no command 'extra'" help train extra

echo "-- numbers"
refuses 2 "'nan' is not a value for lr_g" train --preset svhn --set lr_g=nan
refuses 2 "'' is not a value for lr_g" train --preset svhn --set lr_g=
hint 'at least 1e-06$' train --preset svhn --set sigma=1e-400
succeeds '^lr_g = 0.0 ' train --preset svhn --set lr_g=1e-400 --dry-run
printf 'preset = "svhn"\ndata = "a\\u0000b"\n' >nul.toml
refuses 2 'a.x00b. has a character NUL in it' train --config nul.toml
refuses 2 'cannot read configuration file nowhere.toml: No such file' train --config nowhere.toml
refuses 2 '18446744073709551615 .*at most 9000000000000000' sample x --out y --seed 18446744073709551615
refuses 2 '9223372036854775808 .*at most 9000000000000000' toy --out y --seed 9223372036854775808
refuses 2 'seed: -1 .*at least 0' sample x --out y --seed -1
refuses 2 'count: 9999999999 .*at most 10000000' sample x --out y --count 9999999999
refuses 2 "count: '010' is written as 10" sample x --out y --count 010
refuses 2 "steps: '08' is written as 8" chain x --out y --steps 20,08
refuses 2 "count: '1e3' is not a whole number" sample x --out y --count 1e3
refuses 2 'count: -99999999999999999999 .*at least 1' sample x --out y --count -99999999999999999999
refuses 2 'steps: 9999999999 .*at most' chain x --out y --steps 20,9999999999
refuses 2 'samples: 0 .*at least 1' eval x --samples 0
hint 'at most 1000000000$' train --preset svhn --iterations 99999999999999999999
hint 'at most 9000000000000000$' train --preset svhn --seed 9223372036854775808
hint 'at least 0$' train --preset svhn --seed -99999999999999999999
hint 'at most 1000000000$' train --preset svhn --set sigma=1e400

echo "-- names with control characters stay on one line"
bad=$'a\n\e[31m\x9b\xff'
for command in "info" "data info" "data verify" "sample --out x" "eval" "chain --out x" "apply energy --preset svhn --in z=x --out x --weights"; do
  read -ra words <<<"$command"
  refuses 2 'a\\n\\x1b\[31m\\x9b\\xff' "${words[@]}" "$bad"
done
"$damc" train --preset mnist-quick --data "$root/data/mnist" "${tiny[@]}" --iterations 1 --batch 4 --out "$bad" --set test_posterior_steps=1 \
  >listing || fail "training into $bad"
[ "$(tail -1 listing)" = 'done: a\n\x1b[31m\x9b\xff/00000-mnist-quick' ] || fail "done: $(cat -v listing)"
tail -1 "$bad/00000-mnist-quick/log.txt" | grep -q ' done: a' || fail "log.txt: $(cat -v "$bad/00000-mnist-quick/log.txt")"
header='{"__metadata__":{"k\u001b":"v\u001b[2J\u0085"},"t\n\u001b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
length=$(printf '\\x%02x' ${#header})
{ printf "$length\0\0\0\0\0\0\0"; printf %s "${header}x"; } >"$bad.safetensors"
"$damc" info "$bad.safetensors" >listing || fail "info of a name with control characters"
LC_ALL=C grep -q $'[\e\x9b\xff\x85]' listing && fail "info prints control characters: $(cat -v listing)"
[ "$(wc -l <listing)" = 4 ] || fail "info of one tensor and one string: $(cat -v listing)"

echo "-- help, version"
for columns in 32 50 80 200; do
  for command in '' train sample reconstruct eval chain report movie toy apply data 'data pack' info bench help; do
    # shellcheck disable=SC2086
    COLUMNS=$columns "$damc" $command --help | awk -v n=$columns 'length > n { exit 1 }' ||
      fail "help of '$command' is wider than $columns columns"
  done
done
"$damc" train --help | awk 'length > 80 { exit 1 }' || fail "help is wider than 80 columns"
for command in train 'data pack'; do
  # shellcheck disable=SC2086
  cmp <("$damc" help $command) <("$damc" $command --help) || fail "help $command differs from $command --help"
done
cmp <("$damc" help) <("$damc" --help) || fail "help differs from --help"
succeeds '^damc [0-9.]+ \(commit [0-9a-f]+|unknown' --version
succeeds '^compiler (GCC|Clang) [0-9]' --version
succeeds '^kernels +(native|native-amx|baseline|x86-64-v[34]|x86-64-v4-(bf16|amx))$' --version
DAMC_CPU_KERNELS=abacus refuses 2 'DAMC_CPU_KERNELS=abacus: .*no such kernels' info
succeeds '^libs +.*fmt [0-9]' --version

echo "-- progress on a terminal"
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
  train=("$damc" train --preset mnist-quick "${tiny[@]}" --data "$root/data/mnist" --out runs --iterations 12 --batch 8
    --set log_every=5)
  on_terminal() { # on_terminal FILE COLUMNS ASSIGNMENTS...: what training shows there
    local file=$1 columns=$2
    shift 2
    script -qec "stty cols $columns; env $* $(printf '%q ' "${train[@]}")" "$file" </dev/null >/dev/null
  }
  on_terminal wide 200 TERM=xterm
  grep -q $'\r.*iteration 12/12 .*loss G' wide || fail "no status line: $(cat -v wide)"
  tr '\r' '\n' <wide | grep -E 'iteration ([5-9]|1[0-2])/12' | grep -qv 'loss G' &&
    fail "the status line loses the losses between logs: $(cat -v wide)"
  on_terminal narrow 40 TERM=xterm
  tr '\r' '\n' <narrow | grep 'iteration .*/12' | sed 's/\x1b\[[0-9]*[A-Z]//g' | awk 'length > 39 { exit 1 }' ||
    fail "the status line is wider than its terminal: $(cat -v narrow)"
  on_terminal dumb 80 TERM=dumb
  on_terminal colourless 80 TERM=xterm NO_COLOR=1
  for file in dumb colourless; do
    grep -q $'\e' $file && fail "escape sequences on a plain terminal: $(cat -v $file)"
    grep -q 'iteration 12/12' $file || fail "no progress on a plain terminal: $(cat -v $file)"
  done
  run=$(echo runs/00000-mnist-quick)
  script -qec "stty cols 80; env TERM=xterm $damc eval $run --samples 300" shown </dev/null >/dev/null
  grep -q 'image .*/300' shown || fail "eval shows no progress on a terminal: $(cat -v shown)"
fi
finish
