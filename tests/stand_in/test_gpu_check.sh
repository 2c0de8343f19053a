#!/usr/bin/env bash
# tools/gpu_check.sh from its first part to its report, on the stand-in GPU. Networks are made small and tests few, which
# run whole elsewhere; benchmarks run beside the stand-in that does nothing, so that their numbers mean nothing.
#   test_gpu_check.sh DAMC IDLE_DAMC STAND_IN PARITY    DAMC and PARITY: whose kernels the stand-in runs
idle_damc=$(realpath "$2") stand_in=$(realpath "$3") parity=$(realpath "$4")
. "$(dirname "$0")/../cli_functions.sh"
script() { printf '#!/usr/bin/env bash\n%s\n' "$2" >"$1" && chmod +x "$1"; }
mkdir -p bin build/bin build/tests
cp -r "$root/tools" tools
rm -rf tools/bench/results
ln -s "$root/data" data
script bin/nvidia-smi 'echo "NVIDIA H100 80GB HBM3, 570.1, 81559 MiB"'
script bin/ctest :
script bin/compute-sanitizer 'exec "${@:5}"'
script build/tests/test_device_parity "exec $parity --test-case=parity*,noise*,batches* \"\$@\""
script build/bin/damc "
case \"\$* \" in
  bench*) export STAND_IN_IDLE=1 STAND_IN_FINITE=1 LD_PRELOAD=$stand_in; exec $idle_damc \"\$@\" ;;
  *--resume* | *--batch*) exec $damc \"\$@\" --no-check ;;
  train*--iterations*) exec $damc \"\$@\" --no-check ${tiny[*]} --batch 2 --set posterior_steps=2 --set prior_steps=2 \
    --set q_updates=1 ;;
  train*) exec $damc \"\$@\" --no-check ${tiny[*]} --batch 4 --iterations 4 --set test_posterior_steps=2 ;;
  eval*) exec $damc \"\$@\" --samples 50 ;;
esac
exec $damc \"\$@\""

PATH=$PWD/bin:$PATH tools/gpu_check.sh --build build >screen.txt 2>&1 || fail "gpu_check ends with $?: $(cat screen.txt)"
report=$(echo tools/bench/results/*-nvidia-h100-80gb-hbm3.md)
for part in self_test device_tests losses resume training damc-svhn-fp32 damc-cifar10-bf16 host_tests memcheck; do
  grep -qE "^\| $part \| passed \|" "$report" || fail "$part: $(cat screen.txt "$report")"
done
tail -n 1 "$report" | grep -qE ': [0-9]+ of [0-9]+ parts passed; svhn iteration, ms: fp32 ' || fail "$(tail -n 1 "$report")"
grep -q 'stand-in GPU: [1-9][0-9]* problems' "$report" && fail "$(cat "$report")"
finish
