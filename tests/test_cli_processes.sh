#!/usr/bin/env bash
# Training by several processes, from outside: bits, files, who speaks, how it ends.   test_cli_processes.sh DAMC [MPIRUN]
. "$(dirname "$0")/cli_functions.sh"
mpirun=${2:-}
export OMP_NUM_THREADS=1
small_set small 0 200 24
start=(--preset mnist-quick "${tiny[@]}" --set test_posterior_steps=2 --set sample_prior_steps=2 --set log_every=1 --batch 16
  --set posterior_steps=2 --set prior_steps=2 --set prior_noise_starts=true)
launch() { "$root/tests/together.sh" "$@"; } # launch COUNT PROGRAM ARGUMENTS
# shared COUNT PATTERN ARGUMENTS: that many processes succeed, PATTERN on the screen.
shared() {
  local count=$1 pattern=$2
  shift 2
  launch "$count" "$damc" "$@" >screen.txt 2>&1 || fail "$count x damc $*: exit code $?: $(cat screen.txt)"
  grep -qE -- "$pattern" screen.txt || fail "$count x damc $*: no '$pattern' in: $(cat screen.txt)"
}
# all_refuse PATTERN ARGUMENTS OF LAUNCH...: with PATTERN in the only line of an error.
all_refuse() {
  local pattern=$1
  shift
  launch "$@" >screen.txt 2>&1 && fail "$* succeeds: $(cat screen.txt)"
  [ "$(grep -c '^damc: error' screen.txt)" = 1 ] || fail "$*: not one line of an error: $(cat screen.txt)"
  grep -qE -- "^damc: error: .*$pattern" screen.txt || fail "$*: no '$pattern' in: $(cat screen.txt)"
}
values() { # values FILE: of a safetensors file all that follows its header
  tail -c +$((9 + $(od -An -tu8 -N8 "$1"))) "$1"
}
same_values() { cmp -s <(values "$1") <(values "$2") || fail "$1 and $2 hold different numbers"; }
numbers() { sed -E 's/,"(seconds|bytes|memory|time)[a-z_]*":("[^"]*"|[-0-9.e+]*)//g' "$1"; } # of stats.jsonl, but for times and memory

echo "-- two processes and one that takes the parts in turn; one speaks and writes"
succeeds 'done' train "${start[@]}" --data small --iterations 6 --set state_every=3 --batch-gpu 8 --out one
shared 2 ', 2 processes of 8 images each' train "${start[@]}" --data small --iterations 3 --set state_every=3 --out two
[ "$(grep -c 'done: ' screen.txt)" = 1 ] && [ "$(ls two)" = 00000-mnist-quick ] || fail "others speak or write: $(ls two; cat screen.txt)"
run=two/00000-mnist-quick
for file in {state,model}-000003.safetensors; do same_values "$run/$file" "one/00000-mnist-quick/$file"; done
exists "$run"/grids/{reals-000000,samples-damc-000003}.png
diff <(numbers "$run/stats.jsonl") <(numbers one/00000-mnist-quick/stats.jsonl | head -3) || fail "other losses"

echo "-- other numbers of processes go on with a run"
cp -r two again
succeeds 'changed: batch_gpu = 8' train --resume "$run" --iterations 6 --batch-gpu 8
shared 4 '4 processes of 4 images each' train --resume "$run" --iterations 8 --batch-gpu 0
shared 2 'done' train --resume again/00000-mnist-quick --iterations 6
for file in {state,model}-000006.safetensors; do same_values "again/00000-mnist-quick/$file" "one/00000-mnist-quick/$file"; done
succeeds 'done' train --resume one/00000-mnist-quick --iterations 8 --batch-gpu 0
loss() { sed -nE 's/.*"iteration":8,.*"loss_g":([^,]*),.*/\1/p' "$1/00000-mnist-quick/stats.jsonl"; }
awk -v a="$(loss two)" -v b="$(loss one)" 'BEGIN { exit !(a > 0 && (a - b)^2 < 1e-8 * a^2) }' || fail "losses: $(loss two), $(loss one)"

echo "-- every method that learns from parts of a batch"
for method in damc damc-g sr-lebm lebm abp sri ace nalr ddpm-abp vae ddpm-vae vi-lebm ncp-vae two-stage-vae rae; do
  same=("${start[@]}" --method $method --set grid_every=0 --data small --iterations 4)
  succeeds 'done' train "${same[@]}" --batch-gpu 8 --out parts
  shared 2 'done' train "${same[@]}" --out shared
  same_values shared/*/model-000004.safetensors parts/*/model-000004.safetensors
  diff <(numbers shared/*/stats.jsonl) <(numbers parts/*/stats.jsonl) || fail "$method: other losses"
  rm -r parts shared
done

echo "-- what the processes do not agree in"
both=(--data small --iterations 2 --out none)
all_refuse 'process 1 has lr_g = 0.002, the first one 0.001' 1 "$damc" train "${start[@]}" "${both[@]}" --set lr_g=0.001 : \
  1 "$damc" train "${start[@]}" "${both[@]}" --set lr_g=0.002
small_set others 1 200 24
all_refuse "process 1 has 'images .*the first one 'images" 1 "$damc" train "${start[@]}" "${both[@]}" : \
  1 "$damc" train "${start[@]}" --data others --iterations 2 --out none
all_refuse "process 1: .*nowhere" 1 "$damc" train "${start[@]}" "${both[@]}" : \
  1 "$damc" train "${start[@]}" --data nowhere --iterations 2 --out none
all_refuse '3 processes for a batch of 16' 3 "$damc" train "${start[@]}" "${both[@]}"
all_refuse '2 processes with method bigan' 2 "$damc" train "${start[@]}" "${both[@]}" --method bigan
all_refuse '2 processes with preset mnist-classifier' 2 "$damc" train --preset mnist-classifier "${both[@]}"
all_refuse "no '--batches'" 2 "$damc" train "${start[@]}" "${both[@]}" --batches 4
[ -e none ] && fail "a refused training left a folder behind"
SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2 refuses 2 '2 processes were started by srun, but' train "${start[@]}" "${both[@]}"
ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 MASTER_PORT=x MASTER_ADDR=localhost PMIX_RANK=0 OMPI_ALLOW_RUN_AS_ROOT=1 \
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 refuses 2 "MASTER_PORT = 'x' is no port" train "${start[@]}" "${both[@]}"

echo "-- a divergence takes all back, and ends all"
wild=(--set lr_g=10 --set lr_e=10 --set lr_q=10 --set grad_clip=0 --set lr_min=10 --set state_every=4)
shared 2 'diverged: iteration .* rollback 1 of' train "${start[@]}" "${wild[@]}" --data small --iterations 12 --out wild \
  --set on_nan=rollback --set on_nan_retries=30
all_refuse 'iteration .* is (nan|infinite)' 2 "$damc" train "${start[@]}" "${wild[@]}" --data small --iterations 12 --out wild

echo "-- a process that dies ends all, and the run goes on"
long=(--data small --iterations 100000 --set state_every=1 --set grid_every=0)
began() { while ! ls "$1"/*/state-* >/dev/null 2>&1 && kill -0 "$pid" 2>/dev/null; do sleep 0.05; done; }
for victim in 0 1; do
  rm -rf killed
  "$root/tests/together.sh" 4 "$damc" train "${start[@]}" "${long[@]}" --out killed >screen.txt 2>&1 &
  pid=$!
  began killed
  process=$(grep -lz "^RANK=$victim\$" $(pgrep -P "$pid" | sed 's,.*,/proc/&/environ,') | cut -d/ -f3)
  kill -KILL "$process" || kill -TERM "$pid"
  SECONDS=0
  wait "$pid" && fail "all ends well without process $victim"
  [ "$SECONDS" -le 10 ] || fail "it takes $SECONDS s to end"
  [ "$(grep -c '^damc: error' screen.txt)" = 1 ] && grep -q "^damc: error: process $victim of 4 (.*, pid $process) is gone" screen.txt ||
    fail "not one line that names process $victim: $(cat screen.txt)"
done
run=killed/00000-mnist-quick
done=$(ls "$run" | sed -nE 's/state-0*([0-9]+).*/\1/p' | tail -1)
shared 2 "$done of $((done + 2)) iterations done" train --resume "$run" --iterations $((done + 2)) --set state_every=0

echo "-- also while the first works alone"
"$root/tests/together.sh" 2 "$damc" train "${start[@]}" "${long[@]}" --set eval_every=1 --set test_posterior_steps=1000000 \
  --out lone >screen.txt 2>&1 &
pid=$!
while ! grep -qs . lone/*/stats.jsonl && kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
kill -KILL "$(grep -lz '^RANK=1$' $(pgrep -P "$pid" | sed 's,.*,/proc/&/environ,') | cut -d/ -f3)" || kill -TERM "$pid"
SECONDS=0
wait "$pid" && fail "all ends well without the second process"
[ "$SECONDS" -le 10 ] && grep -q "^damc: error: process 1 of 2 (.*) is gone" screen.txt || fail "after $SECONDS s: $(cat screen.txt)"

echo "-- a signal ends all after the same iteration, with a state"
"$root/tests/together.sh" 2 "$damc" train "${start[@]}" "${long[@]}" --out stopped >screen.txt 2>&1 &
pid=$!
began stopped
kill -s USR1 "$pid"
wait "$pid"
code=$?
[ $code = 138 ] || fail "exit code $code after SIGUSR1: $(cat screen.txt)"
[ "$(grep -c 'stopped by SIGUSR1' screen.txt)" = 1 ] || fail "not one line of the end: $(cat screen.txt)"
succeeds 'done' train --resume stopped/00000-mnist-quick --iterations "$(($(sed -nE 's/.*after iteration ([0-9]+);.*/\1/p' screen.txt) + 1))"

echo "-- processes that damc starts by itself"
succeeds ', 2 processes of 8 images each' train --processes 2 "${start[@]}" --data small --iterations 3 --set state_every=3 --out own
same_values {own,two}/00000-mnist-quick/model-000003.safetensors
cp -r own alone
succeeds 'done: ' train --resume alone/00000-mnist-quick --processes=1 --iterations 4
succeeds '^time: two iterations' train --processes 2 "${start[@]}" --data small --dry-run
for refused in "3 processes for a batch of 16:3" "0 is too small:0" "'two' is not a whole number:two"; do
  refuses 2 "${refused%:*}" train --processes "${refused##*:}" "${start[@]}" "${both[@]}"
done
refuses 2 "--processes excludes --gpus" train --processes 2 --gpus 2 "${start[@]}" "${both[@]}"
refuses 2 "--gpus 2 beside --device" train --gpus 2 --device cpu "${start[@]}" "${both[@]}"
RANK=0 WORLD_SIZE=2 refuses 2 '2 processes of one that torchrun has started' train --processes 2 "${start[@]}" "${both[@]}"
RANK=0 WORLD_SIZE=2 refuses 2 "'toy' works in one process, torchrun started 2" toy --out none
all_refuse "'toy' works in one process, torchrun started 2" 2 "$damc" toy --out none
[ -e none ] && fail "what was refused left a folder behind"
for signal in TERM USR1 KILL PARENT; do # of all, and of one process alone
  "$damc" train --processes 2 "${start[@]}" "${long[@]}" --out "own$signal" >screen.txt 2>&1 &
  pid=$!
  began "own$signal"
  children=$(pgrep -P "$pid")
  told="stopped by SIG$signal"
  case $signal in
    TERM) kill -s TERM "$pid"; expected=143 ;;
    USR1) kill -s USR1 "$pid"; expected=138 ;;
    KILL) kill -s KILL "$(tail -1 <<<"$children")"; told='process 1 of 2 (pid .*) was ended by SIGKILL' expected=1 ;;
    PARENT) kill -s KILL "$pid"; told='stopped by SIGTERM' expected=137 ;;
  esac
  wait "$pid"
  code=$?
  for child in $children; do timeout 10 tail --pid "$child" -f /dev/null || fail "process $child goes on after SIG$signal"; done
  [ $code = $expected ] && grep -q "$told" screen.txt || fail "exit code $code after SIG$signal: $(cat screen.txt)"
  [ "$(grep -c '^damc: error' screen.txt)" = $((expected == 1)) ] || fail "other errors after SIG$signal: $(cat screen.txt)"
done

echo "-- srun without MPI, and mpirun"
export SLURM_JOB_ID=$$ SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST='localhost,node[03-07]'
SLURM_PROCID=1 "$damc" train "${start[@]}" --data small --iterations 3 --set state_every=3 --out slurm >second.txt 2>&1 &
SLURM_PROCID=0 succeeds ', 2 processes of 8 images each' train "${start[@]}" --data small --iterations 3 --set state_every=3 --out slurm
wait $! || fail "the second process of srun: $(cat second.txt)"
[ -s second.txt ] && fail "the second process of srun speaks: $(cat second.txt)"
unset SLURM_JOB_ID SLURM_STEP_ID SLURM_STEP_NUM_TASKS SLURM_STEP_NODELIST
same_values {slurm,two}/00000-mnist-quick/model-000003.safetensors
if [ -n "$mpirun" ]; then
  launch() { "$root/tests/mpirun.sh" "$mpirun" "$@"; }
  shared 2 ', 2 processes of 8 images each' train "${start[@]}" --data small --iterations 3 --set state_every=3 --out mpi
  same_values {mpi,two}/00000-mnist-quick/model-000003.safetensors
  # Not two programs with ':' between them, of which mpirun of Open MPI 5.0.7 dies itself.
  # shellcheck disable=SC2016
  all_refuse 'process 1 has lr_g = 0.002, the first one 0.001' 2 \
    bash -c 'exec "$@" --set lr_g=0.00$((${OMPI_COMM_WORLD_RANK:-$PMI_RANK} + 1))' - "$damc" train "${start[@]}" "${both[@]}"
  "$root/tests/mpirun.sh" "$mpirun" 2 "$damc" train "${start[@]}" "${long[@]}" --out stopped-mpi >screen.txt 2>&1 & # becomes mpirun
  pid=$!
  began stopped-mpi
  kill -s USR1 "$pid"
  wait "$pid"
  [ $? = 138 ] && [ "$(grep -c 'stopped by SIGUSR1' screen.txt)" = 1 ] || fail "SIGUSR1 under mpirun: $(cat screen.txt)"
fi
finish
