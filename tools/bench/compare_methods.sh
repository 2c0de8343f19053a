#!/usr/bin/env bash
# All methods on the same digits, networks, budget and metrics: trains the runs of preset mnist-compare that are not there
# yet (one that was interrupted goes on), measures each, and writes their tables.
#   compare_methods.sh [--damc PROGRAM] [--out DIR] [--device D] [--jobs N] [--only NAMES, a regular expression] [--list]
# Some four hours of two cores together, by estimate. Several may work on one DIR: each run is made by one of them.
set -uo pipefail
cd "$(dirname "$0")/../.."

damc=build/bin/damc out=runs/compare device=cpu jobs=1 only=".*" list=no
while [ $# -gt 0 ]; do
  case $1 in
    --damc) damc=${2:?--damc needs a program} ;;
    --out) out=${2:?--out needs a folder} ;;
    --device) device=${2:?--device needs a name} ;;
    --jobs) jobs=${2:?--jobs needs a number} ;;
    --only) only=${2:?--only needs a regular expression} ;;
    --list) list=yes; shift; continue ;;
    *) echo "compare_methods: unknown option $1; see the head of the script" >&2; exit 2 ;;
  esac
  shift 2
done

# A run a line: its name and what it sets. meg and bigan have rates of their own, at which adversaries are stable; of meg,
# every fifth update is G's.
runs() {
  local digit steps width
  for method in damc sr-lebm vae abp ace damc-g lebm sri nalr ddpm-abp ddpm-vae vi-lebm ncp-vae two-stage-vae rae; do
    echo "digit9-$method method=$method"
  done
  echo "digit9-bigan method=bigan lr_g=1e-4 lr_e=1e-4"
  echo "digit9-meg method=meg lr_g=1e-4 lr_e=1e-4 beta2=0.9 iterations=10000"
  for digit in 1 4 5 7; do
    for method in damc sr-lebm vae abp ace; do echo "digit$digit-$method method=$method holdout=$digit"; done
  done
  for steps in 10 30 50; do echo "steps$steps-damc posterior_steps=$steps"; done
  for width in 0.25 1 2 4; do echo "width$width-damc width=$width"; done
}

# one NAME KEY=VALUE...: trains and measures a run, unless another process does or has done so.
one() {
  local name=$1 settings=() run samples=5000 metrics=mse-normal,auprc,auprc-reconstruction,pca-fd
  shift
  for setting in "$@"; do settings+=(--set "$setting"); done
  mkdir -p "$out/$name"
  exec 9>"$out/$name/lock"
  flock -n 9 || return 0
  run=$(echo "$out/$name"/*-mnist-compare)
  [ ! -e "$out/$name/measured" ] || return 0
  if [ ! -e "$out/$name/trained" ]; then
    if [ -d "$run" ]; then
      "$damc" train --resume "$run" --device "$device"
    else
      "$damc" train --preset mnist-compare --data data/mnist --device "$device" "${settings[@]}" --out "$out/$name"
    fi >"$out/$name/train.txt" 2>&1 || { echo "$name: training failed: $(tail -n 1 "$out/$name/train.txt")"; return 1; }
    touch "$out/$name/trained"
  fi
  run=$(echo "$out/$name"/*-mnist-compare)
  [ "$name" != digit9-meg ] || metrics=auprc,pca-fd
  [[ $name != digit[1-8]* ]] || samples=2000 # a hundred steps of chains for each are most of the time
  "$damc" eval "$run" --device "$device" --metric $metrics --samples $samples >"$out/$name/eval.txt" 2>&1 ||
    { echo "$name: evaluation failed: $(tail -n 1 "$out/$name/eval.txt")"; return 1; }
  touch "$out/$name/measured"
  echo "$name: $(tail -n 1 "$out/$name/train.txt")"
}
export -f one
export damc out device

selected=$(runs | grep -E "^($only) " || true)
[ -n "$selected" ] || { echo "compare_methods: no run matches '$only'; --list shows all" >&2; exit 2; }
if [ "$list" = yes ]; then echo "$selected"; exit 0; fi
failed=0
xargs -P "$jobs" -L 1 bash -c 'one "$@"' one <<<"$selected" || failed=1

# The tables of what there is.
for table in digit9 digit1 digit4 digit5 digit7 steps width; do
  measured=()
  for mark in "$out/$table"*/measured; do [ ! -e "$mark" ] || measured+=("$(dirname "$mark")"/*-mnist-compare); done
  [[ $table != steps && $table != width || ! -e $out/digit9-damc/measured ]] || measured+=("$out"/digit9-damc/*-mnist-compare)
  [ "${#measured[@]}" -lt 2 ] || "$damc" compare "${measured[@]}" --out "$out/$table.md" >/dev/null || failed=1
done
exit $failed
