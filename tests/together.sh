#!/usr/bin/env bash
# Starts processes together on this machine, by what torchrun puts into the environment. SIGUSR1 goes to all of them; the
# exit code is the first that is not 0, in their order.
#   together.sh COUNT PROGRAM [ARGUMENT...] [: COUNT PROGRAM [ARGUMENT...]]...
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
export MASTER_ADDR=127.0.0.1 MASTER_PORT=$((20000 + $$ % 10000)) TORCHELASTIC_RUN_ID=$$
commands=()
while [ $# -gt 0 ]; do
  count=$1 command=()
  while shift && [ $# -gt 0 ] && [ "$1" != : ]; do command+=("$1"); done
  shift
  for ((i = 0; i < count; ++i)); do commands+=("${command[*]@Q}"); done
done
pids=()
trap 'kill -s USR1 "${pids[@]}"' USR1
export WORLD_SIZE=${#commands[@]}
for rank in "${!commands[@]}"; do
  RANK=$rank bash -c "exec ${commands[rank]}" &
  pids+=($!)
done
first=0
for pid in "${pids[@]}"; do
  while :; do # a signal ends a wait
    wait "$pid"
    code=$?
    kill -0 "$pid" 2>/dev/null || break
  done
  [ $first = 0 ] && first=$code
done
exit $first
