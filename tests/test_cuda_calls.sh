#!/usr/bin/env bash
# The CUDA backend's own host code on a machine without a GPU: training, sampling and reconstruction, recorded steps and
# all, beside a stand-in that computes nothing and judges every call (stand_in/gpu.h).
#   test_cuda_calls.sh DAMC STAND_IN DEVICE_PARITY
set -euo pipefail
damc=$1 stand_in=$2 parity=$3
data=$(cd "$(dirname "$0")/.." && pwd)/data/mnist
cudnn=$("$damc" info | sed -n 's/.*cuDNN \([0-9.]*\).*/\1/p')
if [ "$(printf '%s\n' "$cudnn" 9.19 | sort -V | head -n 1)" != 9.19 ]; then
  echo "skipped: cuDNN $cudnn; 9.19 is the first that was seen to plan all of this for a described device"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run ARGUMENTS..: the command succeeds, breaks no rule, and has something recorded and replayed.
run() {
  local command=$1
  shift
  [ "$command" != train ] || set -- --no-check "$@"
  set -- "$command" "$@"
  if ! STAND_IN_IDLE=1 STAND_IN_FINITE=1 LD_PRELOAD=$stand_in "$damc" "$@" >"$work/log" 2>&1; then
    cat "$work/log"
    echo "damc $* failed beside the stand-in" >&2
    exit 1
  fi
  if ! grep -q '^stand-in GPU: 0 problems; [1-9][0-9]* kernels, .* [1-9][0-9]* graphs, [1-9][0-9]* replays$' "$work/log"; then
    grep 'stand-in' "$work/log" | sort | uniq -c | head -n 20
    echo "damc $*: not as it should be beside the stand-in" >&2
    exit 1
  fi
}

small=(--set ngf=2 --set nif=2 --set diffusion_steps=4 --set posterior_steps=2 --set prior_steps=2 --set q_updates=2
  --set ema_every=1 --set test_posterior_steps=2 --set sample_prior_steps=2)
for precision in fp32 tf32 bf16; do
  run train --preset mnist-quick --data "$data" --device cuda --iterations 5 --batch 8 --precision $precision "${small[@]}" \
    --set log_every=2 --set grid_every=4 --set state_every=4 --out "$work/$precision"
  # The precision reaches every product: none in tf32, all; in bf16 all but those of images.
  case $precision in
    fp32) wanted=' [1-9][0-9]* products, 0 in tf32,' ;;
    tf32) wanted=' \([1-9][0-9]*\) products, \1 in tf32,' ;;
    bf16) wanted=' [1-9][0-9]* products, [1-9][0-9]* in tf32,' ;;
  esac
  grep -q "$wanted" "$work/log" || { grep 'stand-in' "$work/log"; echo "products in another precision than $precision" >&2; exit 1; }
done
run train --resume "$work/fp32/00000-mnist-quick" --iterations 9
run train --resume "$work/fp32/00000-mnist-quick" --iterations 14 --device cuda:1
STAND_IN_REFUSES=2 run train --resume "$work/bf16/00000-mnist-quick" --iterations 9
grep -q ' [1-9][0-9]* refused' "$work/log" || { echo "no plan was refused" >&2; exit 1; }
if STAND_IN_IDLE=1 STAND_IN_FINITE=1 STAND_IN_REFUSES=1 LD_PRELOAD=$stand_in "$damc" eval "$work/bf16/00000-mnist-quick" >"$work/log" 2>&1 ||
  ! grep -q '^damc: error: cuDNN: bf16 convolution of image \[.*EXECUTION_FAILED' "$work/log"; then
  cat "$work/log" >&2
  echo "the failure of all plans is not told" >&2
  exit 1
fi
run sample "$work/fp32/00000-mnist-quick" --from damc,lebm --count 600 --out "$work/samples"
run eval "$work/bf16/00000-mnist-quick" --samples 600

# What computes for minutes on the stand-in that does (stand_in/test_commands.sh has the other commands).
for command in "toy --iterations 3 --every 3 --width 0.05 --out $work/toy" \
  "bench --suite iteration,sampling --preset mnist-quick --batch 2 --repeat 1"; do
  # shellcheck disable=SC2086
  if ! STAND_IN_IDLE=1 STAND_IN_FINITE=1 LD_PRELOAD=$stand_in "$damc" $command --device cuda >"$work/log" 2>&1 ||
    ! grep -q '^stand-in GPU: 0 problems; [1-9][0-9]* kernels' "$work/log"; then
    tail -n 20 "$work/log" >&2
    echo "damc $command: not as it should be beside the stand-in" >&2
    exit 1
  fi
done

# short_of_memory MIB BATCH: the batch fails; prints the one that is said to fit.
short_of_memory() {
  local code=0
  STAND_IN_IDLE=1 STAND_IN_FINITE=1 STAND_IN_MIB=$1 LD_PRELOAD=$stand_in "$damc" train --no-check --preset mnist-quick --data "$data" --device cuda --iterations 5 \
    --batch "$2" "${small[@]}" --out "$work/short" >"$work/log" 2>&1 || code=$?
  if [ $code != 1 ] || ! grep -q '^stand-in GPU: 0 problems' "$work/log"; then
    cat "$work/log" >&2
    echo "batch $2 in $1 MiB: exit $code beside the stand-in" >&2
    exit 1
  fi
  sed -n 's/^damc: error: cuda:0 is out of memory: .* asked for, .* free, .* in use here; //p' "$work/log"
}
for mebibytes in 64 128; do
  said=$(short_of_memory $mebibytes 4000)
  batch=$(sed -n 's/^a batch of \([1-9][0-9]*\) instead of 4000 fits$/\1/p' <<<"$said")
  [ -n "$batch" ] || { echo "the batch that would fit into $mebibytes MiB is not told: $said" >&2; exit 1; }
  STAND_IN_MIB=$mebibytes run train --preset mnist-quick --data "$data" --device cuda --iterations 5 --batch "$batch" \
    "${small[@]}" --out "$work/fits"
  said=$(short_of_memory $mebibytes $((batch * 4 / 3)))
  [ -n "$said" ] || { echo "a third more than the batch that fits into $mebibytes MiB fits as well" >&2; exit 1; }
done
# Pieces of a batch are told as well, where images take more memory than latent vectors; in them the whole batch trains.
small+=(--set ngf=16 --set nif=16)
short_of_memory 384 512 >"$work/said"
pieces=$(sed -n 's/^hint: --batch-gpu \([1-9][0-9]*\) learns the same from all 512, in pieces of \1$/\1/p' "$work/log")
[ $((512 % ${pieces:-513})) = 0 ] || { echo "pieces of a batch of 512 in 384 MiB: '$pieces'" >&2; exit 1; }
STAND_IN_MIB=384 run train --preset mnist-quick --data "$data" --device cuda --iterations 5 --batch 512 --batch-gpu "$pieces" \
  "${small[@]}" --out "$work/fits"
small=("${small[@]:0:${#small[@]}-4}")
# One image, and the 32 MiB that cuBLAS works in, but nothing for cuDNN.
least=$("$damc" train --preset mnist-quick "${small[@]}" --batch 1 --dry-run | sed -n 's/^memory: \([0-9]*\).*/\1/p')
said=$(short_of_memory $((least + 32)) 512)
[ "$said" = "it has no room for a batch of any size" ] || { echo "in $((least + 32)) MiB: $said" >&2; exit 1; }

# So is the batch of GAN inversion, in training and in use.
# fits_instead_of BATCH COMMAND..: the command has no room for the batch; prints one that fits.
fits_instead_of() {
  local asked=$1
  shift
  STAND_IN_IDLE=1 STAND_IN_FINITE=1 STAND_IN_MIB=64 LD_PRELOAD=$stand_in "$damc" "$@" --batch "$asked" --device cuda >"$work/log" 2>&1 || true
  sed -n "s/^damc: error: cuda:0 is out of memory: .*; a batch of \([1-9][0-9]*\) instead of $asked fits\$/\1/p" "$work/log"
}
networks=(train --no-check --preset invert-mini-networks --data "$data" --iterations 4 --set ngf=2 --set nif=2 --set nz=64
  --set eval_samples=5)
batch=$(fits_instead_of 512 "${networks[@]}" --out "$work/short")
STAND_IN_MIB=64 run "${networks[@]}" --device cuda --batch "${batch:-512}" --out "$work/networks"
networks=("$work"/networks/*)
with=(--generator "${networks[0]}/generator.safetensors" --encoder "${networks[0]}/encoder.safetensors")
batch=$(fits_instead_of 512 train --no-check --preset invert-mini "${with[@]}" --data "$data" --iterations 4 --set nz=64 --set nemb=64 \
  --set ndf=8 --set denoiser_width=16 --set posterior_steps=2 --set phase_iterations=2 --out "$work/short")
[ -n "$batch" ] || { cat "$work/log" >&2; echo "no batch of invert-mini is said to fit" >&2; exit 1; }
invert=(invert "${with[@]}" --images "$data" --count 300 --steps 3 --out "$work/inverted")
batch=$(fits_instead_of 300 "${invert[@]}")
STAND_IN_IDLE=1 STAND_IN_FINITE=1 STAND_IN_MIB=64 LD_PRELOAD=$stand_in "$damc" "${invert[@]}" --device cuda --batch "${batch:-300}" >"$work/log" 2>&1 ||
  { cat "$work/log" >&2; echo "damc invert fails with the batch that fits, '$batch'" >&2; exit 1; }

# A device that computes nothing fails every case of the test of one that does.
STAND_IN_IDLE=1 LD_PRELOAD=$stand_in "$parity" >"$work/log" 2>&1 && { echo "the parity test passes beside the stand-in" >&2; exit 1; }
grep -q '^\[doctest\] test cases: *[1-9][0-9]* | *0 passed | ' "$work/log" ||
  { tail -n 4 "$work/log"; echo "a case of the parity test cannot fail" >&2; exit 1; }

# And so does the self-test, part for part, but for what needs no computing.
code=0
STAND_IN_IDLE=1 LD_PRELOAD=$stand_in "$damc" info --check cuda >"$work/log" 2>&1 || code=$?
if [ $code != 1 ] || [ "$(grep -c '^cuda:0 .*FAILED' "$work/log")" -lt 5 ] || grep -q '^cuda:0 *kernels.* passed ' "$work/log"; then
  cat "$work/log" >&2
  echo "info --check cuda: exit $code beside a device that computes nothing" >&2
  exit 1
fi

# It is not trained on either, unless that is asked for; what was found good is remembered, and nothing was. One process
# tests it at a time: here another does until it is waited for.
code=0
mkdir -p "$work/cache/damc"
: >"$work/log"
flock "$work/cache/damc" timeout 60 bash -c 'touch "$1/held"; until grep -q waiting "$1/log"; do sleep 0.05; done' - "$work" &
until [ -e "$work/held" ]; do sleep 0.05; done
XDG_CACHE_HOME=$work/cache STAND_IN_IDLE=1 LD_PRELOAD=$stand_in "$damc" train --preset mnist-quick --data "$data" --device cuda --iterations 1 \
  "${small[@]}" --out "$work/untested" >"$work/log" 2>&1 || code=$?
if [ $code != 1 ] || ! grep -q '^damc: error: cuda:0 does not compute as it should$' "$work/log" ||
  ! grep -q '^cuda:0 is used for the first time: waiting for a process' "$work/log" || [ -n "$(ls -A "$work/cache/damc")" ] ||
  [ -n "$(ls "$work/untested" 2>/dev/null)" ]; then
  cat "$work/log" >&2
  echo "exit $code of training on a device that computes nothing" >&2
  exit 1
fi

# A cache folder that cannot be opened keeps nobody from testing.
bounds=()
[ "$(id -u)" = 0 ] && bounds=(setpriv --bounding-set -dac_override,-dac_read_search --inh-caps -dac_override,-dac_read_search)
if "${bounds[@]}" true; then
  chmod 333 "$work/cache/damc"
  code=0
  XDG_CACHE_HOME=$work/cache STAND_IN_IDLE=1 LD_PRELOAD=$stand_in "${bounds[@]}" "$damc" train --preset mnist-quick --data "$data" \
    --device cuda --iterations 1 "${small[@]}" --out "$work/untested" >"$work/log" 2>&1 || code=$?
  if [ $code != 1 ] || ! grep -q '^damc: error: cuda:0 does not compute as it should$' "$work/log"; then
    cat "$work/log" >&2
    echo "exit $code of training with a cache folder that cannot be opened" >&2
    exit 1
  fi
  chmod 755 "$work/cache/damc"
fi
