#!/usr/bin/env bash
# Sampling, reconstruction and evaluation by several processes: the files and numbers of one.   test_cli_sharing.sh DAMC
. "$(dirname "$0")/cli_functions.sh"
export TERM=dumb
launch() { "$root/tests/together.sh" "$@"; } # launch COUNT PROGRAM ARGUMENTS
small_set small 0 700 300
succeeds done train --preset mnist-quick "${tiny[@]}" --set holdout=9 --set test_posterior_steps=2 --set sample_prior_steps=2 \
  --batch 16 --set posterior_steps=2 --set prior_steps=2 --data small --iterations 2
run=runs/00000-mnist-quick

echo "-- five batches and a rest among one, two and three processes"
for n in 1 2 3; do
  for command in "sample --from damc,lebm --count 700 --separate --npy --out s" "reconstruct --images small --count 300 --npy --out r" \
    "eval --metric mse,auprc,pca-fd --samples 290"; do
    # shellcheck disable=SC2086
    set -- $command
    [ "$1" = eval ] || set -- "${@:1:$#-1}" "${!#}$n"
    launch $n "$damc" "$1" $run "${@:2}" >"$1-$n.txt" 2>&1 || fail "$n x damc $*: $(cat "$1-$n.txt")"
  done
  [ "$(grep -c ': 700 images$' sample-$n.txt)" = 2 ] || fail "not one of $n speaks: $(cat sample-$n.txt)"
  [ "$(wc -l <$run/metrics.jsonl)" = $((5 * n)) ] || fail "not one of $n records: $(cat $run/metrics.jsonl)"
done
for n in 2 3; do
  diff -r s1 s$n && diff -r r1 r$n || fail "other images by $n processes"
  diff eval-1.txt eval-$n.txt || fail "other numbers by $n processes"
done

echo "-- what the first process refuses, it refuses for all"
for refused in "is not a run folder:sample runs/nothing --out none" "no z of an image|needs the weights:eval $run --metric fid" \
  "does not exist:reconstruct $run --images nowhere --out none"; do
  # shellcheck disable=SC2086
  launch 2 "$damc" ${refused#*:} >screen.txt 2>&1 && fail "damc ${refused#*:} succeeds"
  [ "$(grep -c '^damc: error' screen.txt)" = 1 ] && grep -qE "^damc: error: .*(${refused%%:*})" screen.txt || fail "$(cat screen.txt)"
done
[ -e none ] && fail "what was refused left a folder behind"
finish
