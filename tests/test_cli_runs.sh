#!/usr/bin/env bash
# The life of a training run, from outside.   test_cli_runs.sh DAMC
. "$(dirname "$0")/cli_functions.sh"
export OMP_NUM_THREADS=1 # the nets are tiny, and other tests run beside
small_set small 0 200 24

echo "-- from training to numbers"
succeeds 'done' train --preset mnist-quick "${tiny[@]}" --data small --out runs --holdout 9 --iterations 2 --batch 8
run=$(echo runs/?????-mnist-quick)
succeeds 'mse +[0-9.]+ +over 68 test images' eval "$run" --metric mse,auprc
[ "$(grep -cE '"metric":"(mse|auprc)","value":0?[0-9.]+' "$run/metrics.jsonl")" = 2 ] || fail "metrics.jsonl: $(cat "$run/metrics.jsonl")"
succeeds 'emulates .* bf16' train --resume "$run" --iterations 3 --precision bf16
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
for signal in 'INT 130' 'TERM 143' 'HUP 129' 'USR1 138' 'USR2 140'; do
  interrupt $signal 0
  for told in 'stopping after this iteration; a state is saved first' \
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

finish
