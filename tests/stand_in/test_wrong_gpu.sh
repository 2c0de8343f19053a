#!/usr/bin/env bash
# The quick start on a machine whose GPU does not compute as it should: it says so, with what was found, and ends well on
# the CPU. The GPU is the stand-in that does nothing; nvidia-smi, nvcc and cmake are played by scripts, and the training
# is made small.
#   test_wrong_gpu.sh DAMC STAND_IN
stand_in=$(realpath "$2")
. "$(dirname "$0")/../cli_functions.sh"
script() { printf '#!/usr/bin/env bash\n%s\n' "$2" >"$1" && chmod +x "$1"; }
mkdir -p bin tools build/bin build-cuda/bin
cp "$root"/tools/{quickstart,choose_device}.sh tools
ln -s "$root/data" data
script tools/setup.sh :
script bin/nvidia-smi 'echo "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)"'
script bin/nvcc :
script bin/cmake :
script build-cuda/bin/damc "STAND_IN_IDLE=1 LD_PRELOAD=$stand_in exec $damc \"\$@\""
script build/bin/damc "
[ \"\$1\" = train ] && set -- \"\$@\" ${tiny[*]} --iterations 2 --batch 4 --set grid_every=1 --set test_posterior_steps=2
exec $damc \"\$@\""

PATH=$PWD/bin:$PATH tools/quickstart.sh runs >screen.txt 2>&1 || fail "the quick start ends with $?: $(cat screen.txt)"
for told in '^device: cuda ' '^cuda:0 +kernels, fp32 +FAILED ' 'The GPU does not compute as it should here' \
  'The CPU is used in its place' '^samples from the sampler: '; do
  grep -qE "$told" screen.txt || fail "no '$told' on the screen: $(cat screen.txt)"
done
grep -q "^device = 'cpu'" runs/*/config.toml || fail "trained on: $(grep device runs/*/config.toml)"
exists runs/*/model-000002.safetensors runs/*/metrics.jsonl
finish
