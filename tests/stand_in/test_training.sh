#!/usr/bin/env bash
# Training on the stand-in GPU beside the CPU: the same losses to rounding, and a run that goes on on the other device.
#   test_training.sh DAMC    whose kernels the stand-in runs
. "$(dirname "$0")/../cli_functions.sh"
report=$root/tools/bench/gpu_report.py
small=(--preset mnist-quick --data "$root/data/mnist" --batch 4 --set ngf=2 --set nif=2 --set diffusion_steps=4
  --set posterior_steps=2 --set prior_steps=2 --set q_updates=1 --set ema_every=1 --set log_every=1 --set grid_every=0)
recorded='stand-in GPU: 0 problems; [1-9][0-9]* kernels, .* [1-9][0-9]* graphs, [1-9][0-9]* replays'
judged() { # the screen of a run on a device
  [ "$1" = cpu ] && echo done || echo "$recorded"
}
# as_much RUN_A RUN_B [DONE]: the losses are the same, to the rounding that the report states.
as_much() { python3 "$report" losses "$@" >losses || fail "$1 and $2: $(cat losses)"; }

echo "-- 50 iterations"
for device in cpu cuda; do
  succeeds "$(judged $device)" train --no-check "${small[@]}" --device $device --iterations 50 --set state_every=25 --out $device
done
as_much cpu/00000-mnist-quick cuda/00000-mnist-quick

echo "-- from iteration 25 on, on the other device"
for pair in cpu:cuda cuda:cpu; do
  from=${pair%:*} to=${pair#*:}
  cp -r "$from/00000-mnist-quick" "$from-$to"
  rm "$from-$to"/*-000050.safetensors
  succeeds "$(judged "$to")" train --no-check --resume "$from-$to" --device "$to"
  as_much "$from/00000-mnist-quick" "$from-$to" 25
done

echo "-- in other precisions, some of whose plans do not run"
for precision in tf32 bf16; do
  export STAND_IN_REFUSES=2
  for device in cpu cuda; do
    succeeds "$(judged $device)" train --no-check "${small[@]}" --device $device --precision $precision --iterations 4 \
      --out "$device-$precision"
  done
  unset STAND_IN_REFUSES
  as_much {cpu,cuda}-$precision/00000-mnist-quick
done
finish
