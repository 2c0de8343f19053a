#!/usr/bin/env bash
# The life of a training run, from outside.   test_cli_runs.sh DAMC
. "$(dirname "$0")/cli_functions.sh"
export OMP_NUM_THREADS=1 # the nets are tiny, and other tests run beside
small_set small 0 200 24

echo "-- from training to numbers"
succeeds 'done' train --preset mnist-quick "${tiny[@]}" --data small --out runs --holdout 9 --iterations 2 --batch 8
run=$(echo runs/?????-mnist-quick)
succeeds 'mse +[0-9.]+ +over 68 test images' eval "$run" --metric mse,auprc
succeeds 'mse-normal +[0-9.]+ +over [1-6][0-9] test images of other digits than 9' eval "$run" --metric mse-normal
succeeds 'pca-fd [0-9.]+ +reconstructions 68/' eval "$run" --metric pca-fd --samples 80
refuses 2 "'gausian' is not one of damc" eval "$run" --metric pca-fd --from gausian
[ "$(grep -cE '"metric":"(mse|auprc)","value":0?[0-9.]+' "$run/metrics.jsonl")" = 2 ] || fail "metrics.jsonl: $(cat "$run/metrics.jsonl")"
# Reconstructions of another metric's pass are those of its own.
alone=$("$damc" eval "$run" --metric pca-fd --samples 60 | grep reconstructions) || fail "no reconstructions"
for metrics in pca-fd,mse auprc,pca-fd; do
  [ "$("$damc" eval "$run" --metric $metrics --samples 60 | grep reconstructions)" = "$alone" ] || fail "$metrics: not $alone"
done
succeeds 'auprc-reconstruction [0-9.]+ +over 68 .* least possible is' eval "$run" --metric auprc-reconstruction
succeeds 'iteration 1: auprc [0-9.]+ over 40 test' train --preset mnist-quick "${tiny[@]}" --data small --out measured --holdout 9 --iterations 2 --batch 8 \
  --set eval_every=1 --set eval_metrics=auprc,pca-fd --set eval_samples=40
measured=$(echo measured/?????-mnist-quick)
grep -q 'auprc: mean .* of the last 2 evaluations in training; the best of 2' "$measured/log.txt" || fail "no history: $(cat "$measured/log.txt")"
[ "$(grep -c '"metric":"pca-fd"' "$measured/metrics.jsonl")" = 6 ] || fail "metrics.jsonl: $(cat "$measured/metrics.jsonl")"
succeeds 'auprc: mean .* of the last 2' eval "$measured" --metric auprc --samples 40
refuses 2 "unknown metric 'fidd'" train --preset mnist-quick --data small --out none --set eval_every=1 --set eval_metrics=mse,fidd
succeeds '^done: ' train --resume "$run" --iterations 3 --precision bf16
grep -q "^precision = 'bf16'" "$run/config.toml" || fail "the run does not hold its new precision"
exists "$run/model-000003.safetensors"
succeeds 'over 3 images' reconstruct "$run" --images small --count 3 --out out

echo "-- interruptions"
every=(--set log_every=1 --set grid_every=1 --set state_every=1 --set test_posterior_steps=2 --set sample_prior_steps=2)
start=(--preset mnist-quick "${tiny[@]}" "${every[@]}" --data small --batch 8)
newest() { # the number of the run's newest state
  find "$run" -name 'state-*.safetensors' | sed 's/.*state-0*//; s/\..*//' | sort -n | tail -1
}
interrupt() { # interrupt SIGNAL CODE DELAY: the run goes on to its next state and DELAY seconds more
  local before pid code
  before=$(newest)
  env --default-signal=INT "$damc" train --resume "$run" --iterations 1000000 >screen.txt 2>&1 & # the shell ignores INT
  pid=$!
  while [ "$(newest)" = "$before" ] && kill -0 $pid; do sleep 0.01; done 2>kill.txt
  sleep "$3"
  kill -s "$1" $pid
  wait $pid 2>kill.txt
  code=$?
  [ "$code" = "$2" ] || fail "$1 ends a run with $code, not $2: $(cat screen.txt)"
}
succeeds 'done' train "${start[@]}" --out stopped --iterations 1
run=$(echo stopped/*)
for signal in 'INT 130' 'TERM 143' 'HUP 129' 'USR1 138' 'USR2 140' 'XCPU 152'; do
  interrupt $signal 0
  for told in 'stopping after this iteration; what is done is saved first' \
    "stopped by SIG${signal% *} after iteration $(newest); continue with: damc train --resume $run"; do
    grep -qF "$told" screen.txt || fail "what the screen shows after $signal: $(cat screen.txt)"
  done
  tail -1 "$run/log.txt" | grep -qE "^20[-0-9]+T[0-9:]+Z stopped by SIG${signal% *} after iteration $(newest);" ||
    fail "log.txt after $signal: $(tail -1 "$run/log.txt")"
done
rm screen.txt
env --default-signal=INT "$damc" train --resume "$run" --iterations 1000000 >screen.txt 2>&1 &
pid=$!
while ! grep -q iteration screen.txt && kill -0 $pid; do sleep 0.01; done 2>kill.txt
refuses 2 "another process is at work in $run" train --resume "$run" --iterations 1000000
succeeds 'mse' eval "$run" --samples 10 # reading is allowed
kill -s INT $pid
wait $pid 2>kill.txt
[ $? = 130 ] || fail "a process that holds its run does not end by a signal: $(cat screen.txt)"
for delay in 0 0.007 0.02 0.05; do interrupt KILL 137 $delay; done
: >"$run/.state-000001.safetensors.tmp-1-1" # what a process leaves that is killed while it writes
last=$(($(newest) + 2))
succeeds 'done' train --resume "$run" --iterations $last
succeeds 'done' train "${start[@]}" --out whole --iterations $last
diff -r stopped/*/grids whole/*/grids || fail "an interrupted run draws other pictures"
for file in config.toml $(printf '%s-%06d.safetensors ' model $((last - 1)) model $last state $last); do
  cmp stopped/*/"$file" whole/*/"$file" || fail "$file differs in an interrupted run"
done
for run in stopped/* whole/*; do # all but what is measured
  sed -E 's/"(memory_mib|seconds_per_iteration|time)":[^,}]*//g' "$run/stats.jsonl" >"$(dirname "$run").stats"
done
cmp stopped.stats whole.stats || fail "stats.jsonl differs in an interrupted run"

limit=$(($(stat -c %s "$run/state-"*"$last.safetensors") * 3 / 4096)) # KiB: a disk too full for a state
(
  trap '' XFSZ
  ulimit -f $limit
  refuses 1 "cannot write .*state-.*: File too large" train --resume "$run" --iterations $((last + 1))
  head -c 1000 /dev/zero >"$run/metrics.jsonl"
  ulimit -f 1 # half a line
  refuses 1 'cannot write to .*metrics\.jsonl: File too large' eval "$run" --samples 10
  exit "$failed"
) || failed=1
[ "$(newest)" = $last ] || fail "after a full disk the newest state is $(newest), not $last"
succeeds 'done' train --resume "$run" --iterations $((last + 1))
rm -r "$run/grids" && mkdir -p "$run/grids/samples-lebm-$(printf %06d $((last + 2))).png" # where a picture should go
refuses 1 'cannot .*samples-lebm' train --resume "$run" --iterations $((last + 3))
[ "$(newest)" = $((last + 2)) ] || fail "a picture that cannot be written costs the iterations since the last state"

echo "-- signals that a caller ignores, Ctrl-C again and again, a reader that goes away"
(trap '' INT HUP; exec "$damc" train "${start[@]}" --out ignoring --iterations 40 >screen.txt 2>&1) &
pid=$!
while ! ls ignoring/*/state-* && kill -0 $pid; do sleep 0.01; done >kill.txt 2>&1
kill -s INT $pid
kill -s HUP $pid
wait $pid || fail "ignored signals end a run: $(cat screen.txt)"
"$damc" train "${start[@]/#small/$root/data/mnist}" --set eval_every=1 --set eval_metrics=pca-fd --out evaluating \
  --iterations 9 >screen.txt 2>&1 &
pid=$!
while ! [ -s evaluating/*/stats.jsonl ] && kill -0 $pid; do sleep 0.01; done 2>kill.txt # then it evaluates
kill -s TERM $pid
wait $pid
[ $? = 143 ] || fail "SIGTERM during an evaluation: $(cat screen.txt)"
grep -q 'iteration 1: the evaluation is left out' screen.txt || fail "an evaluation goes on after SIGTERM: $(cat screen.txt)"
exists evaluating/*/state-000001.safetensors
press() { # press TIMES: that many Ctrl-C within an iteration of seconds
  rm -rf pressed
  env --default-signal=INT "$damc" train "${start[@]}" --set posterior_steps=500 --out pressed --iterations 9 >screen.txt 2>&1 &
  local pid=$! i
  while ! ls pressed/*/grids/reals-* && kill -0 $pid; do sleep 0.01; done >kill.txt 2>&1
  for ((i = 1; i <= $1; ++i)); do
    kill -s INT $pid
    while [ "$(grep -c 'a third Ctrl-C kills' screen.txt)" -lt $i ] && kill -0 $pid; do sleep 0.01; done 2>kill.txt
  done
  wait $pid 2>kill.txt
  [ $? = 130 ] || fail "$1 times Ctrl-C: $(cat screen.txt)"
}
press 2
exists pressed/*/state-000001.safetensors
press 3
ls pressed/*/state-* 2>kill.txt && fail "a third Ctrl-C does not kill"
"$damc" train "${start[@]}" --out piped --iterations 1000000 --set grid_every=0 2>screen.txt | head -1 >kill.txt
[ "${PIPESTATUS[0]}" = 141 ] || fail "a reader that goes away does not end a run: $(cat screen.txt)"
tail -1 piped/*/log.txt | grep -q 'Z stopped by SIGPIPE after iteration' || fail "log.txt: $(tail -1 piped/*/log.txt)"
exists piped/*/state-*

echo "-- images that are cut off while they are in use"
succeeds '24 images' sample "$run" --count 24 --separate --out drawn
succeeds '24 images' data pack drawn/samples-damc packed --size 28 --grey
"$damc" train "${start[@]/#small/packed}" --set grid_every=0 --set state_every=0 --out cut --iterations 1000000 >screen.txt 2>&1 &
pid=$!
while ! [ -s cut/*/stats.jsonl ] && kill -0 $pid; do sleep 0.01; done 2>kill.txt
truncate -s 16 packed/images-idx4-ubyte
wait $pid
[ $? = 1 ] || fail "images that are cut off: $(cat screen.txt)"
grep -q "^damc: error: 'packed/images-idx4-ubyte' was shortened while it was in use\|images-idx4-ubyte' was shortened" screen.txt ||
  fail "images that are cut off: $(cat screen.txt)"
exists cut/*/state-*

echo "-- starts"
for ((i = 0; i < 6; ++i)); do "$damc" train "${start[@]}" --out race --iterations 1 >"race-$i.txt" 2>&1 & done
wait
[ "$(echo race/*)" = "$(echo race/0000{0..5}-mnist-quick)" ] || fail "six starts at once: $(ls -A race; cat race-*)"
exists race/*/state-000001.safetensors
mkdir -p crowded/{2147483647-x,99999999999999999999-x,00003-x,9x}
echo taken >crowded/00004-mnist-quick
succeeds 'done: crowded/00005-mnist-quick' train "${start[@]}" --out crowded --iterations 1
(
  trap '' XFSZ
  ulimit -f 0
  refuses 1 'cannot write' train "${start[@]}" --out full --iterations 1
  exit "$failed"
) || failed=1
[ -z "$(ls -A full)" ] || fail "a start on a full disk leaves $(ls -A full)"
refuses 2 'small' train --preset svhn --data small --out wrong --iterations 1
[ -e wrong ] && fail "a refused start leaves a folder"

echo "-- numbers before files, and output that is lost"
run=$(echo race/00000-*)
mv "$run/metrics.jsonl" "$run/metrics.old" 2>kill.txt
mkdir "$run/metrics.jsonl"
succeeds_not() { # succeeds_not PATTERN ARGUMENTS: exit code 1, but PATTERN on the screen
  local pattern=$1
  shift
  refuses 1 'cannot' "$@"
  grep -qE -- "$pattern" stdout || fail "damc $*: no '$pattern' in: $(cat stdout)"
}
succeeds_not '^mse +[0-9.]+ +over 24' eval "$run"
rmdir "$run/metrics.jsonl"
(
  trap '' XFSZ
  ulimit -f 1 # KiB: pictures are larger
  succeeds_not 'mean E\(z\)' chain "$run" --steps 3 --out out
  succeeds_not 'mse posterior +[0-9.]+ +over 16' reconstruct "$run" --images small --out out
  exit "$failed"
) || failed=1
mv "$run/metrics.jsonl" "$run/metrics.old" 2>kill.txt
rm -rf lasting
"$damc" eval "$run" --metric mse,pca-fd --samples 20 2>message | true
[ "${PIPESTATUS[0]}" = 141 ] && [ ! -s message ] || fail "eval without a reader: ${PIPESTATUS[*]} $(cat message)"
grep -q pca-fd "$run/metrics.jsonl" || fail "the numbers of eval are lost with its reader"
"$damc" chain "$run" --steps 3,5 --out lasting | true
exists lasting/{chain,diagnosis}-{3,5}.*
for command in "eval $run" "sample $run --count 2 --out out" "chain $run --steps 3 --out out" "info $run" info --help "train --help" --version \
  "data info small" "reconstruct $run --images small --count 2 --out out" "bench --floors --preset mnist-quick" \
  "train --resume $run --iterations 2" "train --preset svhn --dry-run"; do
  # shellcheck disable=SC2086
  message=$("$damc" $command 2>&1 >/dev/full)
  [ $? = 1 ] || fail "damc $command: output that is lost is no error: $message"
  grep -q '^damc: error: cannot write to' <<<"$message" || fail "damc $command >/dev/full: $message"
done
exists "$run/state-000002.safetensors"
"$damc" frobnicate 2>/dev/full
[ $? = 2 ] || fail "a message that is lost changes the exit code"
"$damc" train --resume "$run" --iterations 3 <&- >&- 2>&-
[ $? = 1 ] || fail "a run without any stream does not tell that its output is lost"
exists "$run/state-000003.safetensors"
cmp "$run/config.toml" <(sed 's/^iterations = 1 /iterations = 3 /' race/00001-*/config.toml) || fail "a run without streams harms files"

finish
