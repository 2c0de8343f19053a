#!/usr/bin/env bash
# The program on a machine: little memory, streams that are closed, OpenMP's settings.   test_cli_machine.sh DAMC SANITIZED
# shellcheck source=tests/cli_functions.sh
. "$(dirname "$0")/cli_functions.sh"

# Too little address space is one line and a hint, for every command, and nothing hangs.
limited() { # KIB COMMAND: exit code 1 or 0 in time
  local message code
  message=$(ulimit -v "$1" && shift && timeout 60 "$damc" "$@" 2>&1 >stdout)
  code=$?
  [ "$code" = 0 ] && return
  [ "$code" = 1 ] || fail "ulimit -v $*: exit code $code: $message"
  grep -q '^damc: error: out of memory' <<<"$message" || fail "ulimit -v $*: no clear line: $message"
  [ "$(grep -c . <<<"$message")" -le 2 ] || fail "ulimit -v $*: more than a line and a hint: $message"
}
zeros z.npy '(1, 4)' 4
train=(train --preset mnist-quick "${tiny[@]}" --data "$root/data/mnist" --set batch=4 --set test_posterior_steps=1
  --set posterior_steps=1 --set prior_steps=1)
succeeds 'done' "${train[@]}" --out runs --set iterations=1
run=runs/00000-mnist-quick
# A run's weights do not depend on the number of threads.
for threads in 1 3; do OMP_NUM_THREADS=$threads succeeds 'done' "${train[@]}" --out "threads$threads" --set iterations=2; done
cmp threads[13]/*/model-*.safetensors || fail "1 and 3 threads gave other weights"

# Nor on that of the processors or of OpenBLAS's threads: mpirun and batch systems bind a process to one of many.
processor=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
for bound in "taskset -c $processor" 'env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=4' 'env OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=1'; do
  # shellcheck disable=SC2086
  $bound "$damc" "${train[@]}" --out bound --set iterations=2 >stdout 2>stderr || fail "$bound: $(cat stderr)"
  cmp threads1/*/model-000002.safetensors bound/*/model-000002.safetensors || fail "$bound: other weights"
  rm -r bound
done

if [ "$2" != ON ]; then # AddressSanitizer takes terabytes of addresses
  for kib in 100000 150000 200000 250000 300000; do
    limited "$kib" "${train[@]}" --out refused --set iterations=1
    limited "$kib" sample "$run" --count 4 --out pictures
    limited "$kib" eval "$run" --metric mse
    limited "$kib" apply generator --preset mnist-quick --weights "$(echo "$run"/model-*.safetensors)" --in z=z.npy --out x.npy
  done
  [ -e refused ] && fail "a start that was refused left a folder"
  for kib in 350000 450000 550000 650000; do limited "$kib" "${train[@]}" --out limited --set iterations=1; done
  OMP_NUM_THREADS=1 limited 200000 info
fi

stack=$([ "$2" = ON ] && echo 192 || echo 128) # AddressSanitizer spreads the variables of a function; with 64 libraries may die
for threads in 1 2; do
  message=$(ulimit -s "$stack" && OMP_NUM_THREADS=$threads "$damc" "${train[@]}" --out small --set iterations=1 2>&1)
  [ $? = 2 ] && grep -q '^damc: error: stacks of [0-9]* KiB are too small' <<<"$message" || fail "ulimit -s $stack: $message"
done

for size in 16 64K '128 k' 200000B; do
  message=$(OMP_NUM_THREADS=2 OMP_STACKSIZE=$size "$damc" eval "$run" 2>&1)
  [ $? = 2 ] && grep -q '^damc: error: stacks of [0-9]* KiB are too small' <<<"$message" || fail "OMP_STACKSIZE=$size: $message"
done
OMP_NUM_THREADS=2 OMP_STACKSIZE=1M succeeds 'mse' eval "$run"

# Standard output that is closed or full is told by the exit code; what a command makes is there all the same, and the
# same, whatever streams are closed: no file takes their places.
streams() { # REDIRECTION COMMAND: in folder `made` beside a copy of the run; the exit code and a digest of all files
  local code
  rm -rf made
  mkdir made
  cp -r "$run" made/run
  ( eval "exec ${2:-} $1"
    cd made && exec timeout 60 "$damc" "${@:3}" )
  code=$?
  sed -E -i 's/"(time|seconds_per_iteration|memory_mib)":[^,}]*//g' made/run/stats.jsonl
  echo "$code $(cd made && find . -type f ! -name log.txt -exec sha256sum {} + | sort | sha256sum)"
}
small_set small 0 40 12
commands=('info run' --version 'compare run' "eval run --metric mse --data $scratch/small" 'sample run --count 2 --out out'
  'train --resume run --iterations 2' 'convert run/model-000001.safetensors w.pth')
for command in "${commands[@]}"; do
  read -ra words <<<"$command"
  wanted=$(streams '>/dev/null' '2>message' "${words[@]}")
  [ "${wanted%% *}" = 0 ] || fail "$command: $wanted: $(cat message)"
  for closed in '>/dev/full' '<&- >&-'; do
    seen=$(streams "$closed" '2>message' "${words[@]}")
    [ "$seen" = "1 ${wanted#* }" ] || fail "$command $closed: $seen, expected: 1 ${wanted#* }"
    grep -qE '^damc: error: cannot write to standard output: (No space left on device|Bad file descriptor)$' message ||
      fail "$command $closed: $(cat message)"
  done
  for closed in '>/dev/null 2>/dev/full' '<&- >/dev/null 2>&-' '<&- >&- 2>&-'; do
    [[ $closed = *'>&-'*'2>&-'* ]] && lost=1 || lost=0
    seen=$(streams "$closed" '' "${words[@]}")
    [ "$seen" = "$lost ${wanted#* }" ] || fail "$command $closed: $seen, expected: $lost ${wanted#* }"
  done
done

# A limit on the size of files, and a folder that is gone, are one line.
message=$(ulimit -f 8 && "$damc" "${train[@]}" --out short --set iterations=1 2>&1 >/dev/null)
[ $? = 1 ] && grep -q '^damc: error: cannot write .*: File too large$' <<<"$message" || fail "ulimit -f: $message"
mkdir gone
message=$(cd gone && rmdir ../gone && "$damc" "${train[@]}" --out runs --set iterations=1 2>&1)
[ $? = 2 ] && grep -q "^damc: error: --out 'runs': the folder that this program works in is gone" <<<"$message" ||
  fail "without a folder: $message"

# The program starts over to tell OpenMP how to wait: as the same process, under the same name and arguments. Threads that
# have all processors wait for long and are bound to one each, others wait briefly and run where they can; what the user
# has set stays. One SIGTERM ends it.
unset OMP_WAIT_POLICY GOMP_SPINCOUNT KMP_BLOCKTIME OMP_PROC_BIND OMP_NUM_THREADS
processors_of() { sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$1/status"; }
told() { tr '\0' '\n' <"/proc/$1/environ" | grep -E '^(GOMP_SPINCOUNT|OMP_WAIT_POLICY|KMP_BLOCKTIME|OMP_PROC_BIND)=' | tr '\n' ' '; }
training() { # LOOK AT ITS PID, SETTINGS, ARGUMENTS
  local tries=0 pid
  env "${@:2}" "$damc" "${train[@]}" --out spin --set iterations=1000000 >out 2>&1 &
  pid=$!
  until grep -q . spin/*/stats.jsonl 2>/dev/null || [ $((tries += 1)) -gt 200 ]; do sleep 0.1; done
  "$1" "$pid"
  kill -TERM "$pid"
  wait "$pid"
  echo "$?"
  rm -r spin
}
look_at() {
  told "$1"
  tr '\0' ' ' <"/proc/$1/cmdline" | cut -d' ' -f1-2
  cat "/proc/$1/comm"
  readlink "/proc/$1/exe"
  processors_of "$1"
}
expect() { # SETTINGS PROCESSORS ASSIGNMENTS
  local seen wanted
  seen=$(training look_at "${@:3}")
  wanted=$(printf '%s\n' "$1 $damc train" "$(basename "$damc")" "$damc" "$2" 143)
  [ "$seen" = "$wanted" ] || fail "with '${*:3}': $seen; expected: $wanted"
}
if [ -r /proc/self/environ ]; then
  waiting=GOMP_SPINCOUNT brief=GOMP_SPINCOUNT=1000 all=$(processors_of self)
  grep -q KMP_BLOCKTIME= "$damc" && waiting=KMP_BLOCKTIME brief=KMP_BLOCKTIME=1
  threads=$("$damc" info | sed -nE 's/^cpu +([0-9]+) threads.*/\1/p') # fewer than processors under a quota
  if [ "$brief" = KMP_BLOCKTIME=1 ] || [ "$threads" = 1 ] || [ "$threads" != "$(nproc)" ]; then
    expect "$brief" "$all"
  else
    expect 'GOMP_SPINCOUNT=20000 OMP_PROC_BIND=true' "${all%%[-,]*}"
    expect "$brief" "$all" OMP_NUM_THREADS=1
    expect "$brief OMP_PROC_BIND=false" "$all" OMP_PROC_BIND=false
  fi
  expect OMP_WAIT_POLICY=active "$all" OMP_WAIT_POLICY=active
  expect "$waiting=7" "$all" "$waiting=7"

  # Processes that share the processors decide for themselves.
  look_at_children() {
    local child
    for child in $(grep -lE "^PPid:[[:space:]]$1$" /proc/[0-9]*/status 2>/dev/null | cut -d/ -f3); do
      echo "$(told "$child")$(processors_of "$child")"
    done
  }
  seen=$(train+=(--processes 2 --set batch=8) && training look_at_children)
  [ "$seen" = "$brief $all"$'\n'"$brief $all"$'\n'143 ] || fail "of two processes: $seen; expected: $brief $all"
fi
[ "$(exec -a 'another name' "$damc" --help | head -1)" = "$("$damc" --help | head -1)" ] || fail "argv[0] matters"

finish
