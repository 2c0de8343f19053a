#!/usr/bin/env bash
# Runs every command line of the README and of the page of figures, and compares what they show of commands that always
# show the same. What would take minutes or a network is made small here, and nowhere else; the C++ of the README is a
# test of its own.
#   test_readme.sh DAMC
# shellcheck source=cli_functions.sh
. "$(dirname "$0")/cli_functions.sh"
readme=pages
cat "$root/README.md" "$root/tools/bench/results/README.md" >pages
mkdir -p bin build
ln -s "$damc" bin/damc
ln -s "$(dirname "$damc")" build/bin
ln -s "$root/data" "$root/tools" .
PATH=$scratch/bin:$PATH
cp "$root/tests/golden/apply/weights.safetensors" F.safetensors
cp "$root/tests/golden/apply/z.npy" z.npy
# CIFAR-10 in its layout, of MNIST's bytes as small numbers, so that labels are labels.
mkdir cifar-10-batches-bin
for file in data_batch_{1..5} test_batch; do
  gzip -dc data/mnist/train-images-idx3-ubyte.gz 2>/dev/null | tail -c +100000 | head -c $((3073 * 24)) |
    tr '\012-\377' '\011' >"cifar-10-batches-bin/$file.bin"
done
narrow='--set nz=10 --set ngf=4 --set nif=4 --set nemb=16 --set ndf=16 --set width=0.0625'
tiny='--iterations 2 --batch 8 --set nz=4 --set ngf=2 --set nif=2 --set nemb=8 --set ndf=8 --set width=0.0625 --set diffusion_steps=5'

small() { # small LINE: the line as it is run here
  case $1 in
    tools/*.sh | tools/*.sh\ *) echo "bash -n ${1%% *}" ;; # they install, build and train
    *mpirun* | *torchrun* | *--processes* | *"--gpus "*) echo "damc ${1#*damc } --help" ;; # on machines of several processors; cli_processes starts some
    sbatch*) echo 'bash -n tools/train.sbatch' ;;
    'damc train --preset'*) echo "$(sed 's/ --iterations [0-9]*//; s/ --batch [0-9]*//' <<<"$1") $tiny" ;;
    'damc train --resume'*) echo "$1 --iterations 3" ;;
    'damc eval'*) echo "$1 --samples 100" ;;
    'damc table'*) echo 'damc table 3' ;; # of runs that take hours
    'damc chain'*) echo "${1/2500/25}" ;;
    'damc toy'*) echo "$1 --help" ;; # its long chains alone take minutes
    'damc invert'*) echo 'damc invert --help' ;; # of weights that are not here
    'damc apply'*) echo "$1 $narrow" ;;
    'damc bench') echo "$1 --suite iteration --preset mnist-quick --batch 2 --repeat 1" ;;
    build/bin/damc\ bench*) sed 's/svhn/mnist-quick/; s/--batch [0-9]*/--batch 2 --repeat 1/' <<<"$1" ;;
    tools/bench/growth.py*) echo 'tools/bench/growth.py --help' ;; # takes minutes on a quiet machine
    tools/bench/solvers.py*) sed 's/--steps .*/--steps 2 --samples 200/' <<<"$1" ;;
    *pytorch_bench.py*) echo 'python3 -m py_compile tools/bench/pytorch_bench.py && cp damc.json torch.json' ;;
    *) echo "$1" ;;
  esac
}

echo "-- the command lines"
lines=0
while IFS= read -r line; do
  line=$(sed 's/ *#.*//; s/ *$//' <<<"$line")
  [ -n "$line" ] || continue
  lines=$((lines + 1))
  PYTHONPYCACHEPREFIX=$scratch bash -c "$(small "$line")" >output 2>&1 </dev/null || fail "$line: $(tail -3 output)"
done < <(awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' "$readme" | sed -e ':a' -e '/\\$/N; s/ *\\\n */ /; ta')
[ $lines -ge 15 ] || fail "only $lines command lines were found in the README"

echo "-- what bench --floors shows there"
shown=0
while IFS= read -r line; do
  case $line in
    '    $ damc bench --floors'*)
      shown=$((shown + 1))
      bash -c "${line#    \$ }" >output 2>&1 || fail "$line: $(cat output)"
      compared=1 ;;
    '    $ '*) compared=0 ;;
    '    '*) [ "${compared:-0}" = 0 ] || grep -qxF -- "${line#    }" output || fail "the README's '$line' is not in: $(cat output)" ;;
    *) compared=0 ;;
  esac
done <"$readme"
[ $shown -ge 1 ] || fail "no output of bench --floors was found in the README"
finish
