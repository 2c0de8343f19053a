#!/usr/bin/env bash
# The program from outside: exit codes, messages and files.   test_cli.sh DAMC
. "$(dirname "$0")/cli_functions.sh"
golden=$root/tests/golden/apply

echo "-- the command line"
refuses 2 'no command'
refuses 2 'frobnicate' frobnicate
refuses 2 'frobnicate' sample run --out out --frobnicate
refuses 2 "unknown preset 'svnh'" train --preset svnh --data nowhere --out runs
refuses 2 "unknown configuration key 'batsh'" train --preset svhn --set batsh=3 --data nowhere
refuses 2 'batch' train --preset svhn --set batch=many --data nowhere
refuses 2 'out of range' train --preset svhn --batch 0 --data nowhere
refuses 2 'NAME=VALUE' train --preset svhn --set batch --data nowhere
refuses 2 'no preset' train --data nowhere
refuses 2 "unknown device 'gpu'" train --preset mnist-quick --data "$root/data/mnist" --device gpu --out runs
refuses 2 "nowhere" train --preset mnist-quick --data nowhere --out runs
[ -e runs ] && fail "a refused training left a run folder behind"
succeeds 'Usage' --help
for command in train sample reconstruct eval chain report movie toy apply data info bench; do
  succeeds 'Usage' "$command" --help
done
refuses 2 "'fp16' is not a value for precision" train --preset svhn --precision fp16 --data nowhere
succeeds "^precision = 'bf16'" train --preset mnist-quick --precision bf16 --dry-run
succeeds '^memory: [1-9][0-9]*\.[0-9] MiB on a GPU' train --preset svhn --dry-run
succeeds '^damc [0-9]' info
succeeds '^cpu +kernels, fp32 +passed ' info --check
succeeds '^cpu +state +passed ' info --check cpu,cpu
refuses 2 "unknown device 'gpu'" info --check gpu

echo "-- bench"
succeeds '^mnist-quick +posterior_chain +64 ' bench --floors --preset mnist-quick --json floors.json
exists floors.json
succeeds '^svhn +generator_update +128 +53\.17 +0\.463 ' bench --floors --batch 0
succeeds '^svhn +generator_update +128 +53\.17 +0\.463 ' bench --floors --precision tf32 --suite iteration
succeeds '^svhn +generator_update +128 +53\.17 +0\.325 ' bench --floors --precision bf16
refuses 2 "unknown GPU 'h300'" bench --floors --gpu h300
succeeds '^ +4 +32 +8\.689 +358\.7 +10 +2\.64 - 3\.10 ' bench --floors --scaling # 6 x 14,359,224 + 3,447,683 + 60,601 weights of 4 bytes
refuses 2 'json with --scaling' bench --floors --scaling --json scaling.json
refuses 2 'scaling requires --floors' bench --scaling
refuses 2 'gpu requires --floors' bench --gpu h100
refuses 2 'frob' bench --suite iteration,frob
refuses 2 "unknown preset 'svnh'" bench --preset svhn,svnh
refuses 2 "unknown preset 'svnh'" bench --floors --preset svnh
refuses 2 'fp8' bench --precision fp8
refuses 2 "unknown device 'gpu'" bench --device gpu
for option in batch=-1 batch=many batch=65537 repeat=0 threads=-1; do refuses 2 "--${option%=*}" bench "--$option"; done
for suite in kernels precision; do refuses 2 "--floors with --suite $suite" bench --floors --suite iteration,$suite; done
refuses 2 'json with --suite precision' bench --suite precision --json none.json
refuses 2 'folder of --json nowhere/none.json' bench --json nowhere/none.json
refuses 2 "json '.' names no file" bench --floors --json .
refuses 2 "json '' is empty" bench --floors --json ''
cp floors.json kept.json
message=$(trap '' XFSZ; ulimit -f 0; "$damc" bench --floors --json kept.json 2>&1 >/dev/null; echo "exit $?")
grep -q "^damc: error: cannot write 'kept.json'" <<<"$message" || fail "a full disk is not told: $message"
grep -q '^exit 1$' <<<"$message" || fail "a full disk: $message"
cmp -s floors.json kept.json || fail "a full disk harmed the file that was there"
if "$damc" info | grep -q 'cuda *not built in'; then
  refuses 2 'no CUDA backend' train --preset mnist-quick --data "$root/data/mnist" --device cuda --out runs
  refuses 2 'no CUDA backend' toy --device cuda --out toy
  [ -e toy ] && fail "a refused toy run left a folder behind"
fi

echo "-- data"
succeeds '60000 images of 28x28x1' data info "$root/data/mnist"
succeeds 'ok .*md5' data verify "$root/data/mnist"
refuses 2 "the data folder 'nowhere' does not exist" data info nowhere
mkdir damaged
cp "$root"/data/mnist/*-idx?-ubyte.gz damaged
head -c 1000000 "$root/data/mnist/train-images-idx3-ubyte.gz" >cut
mv -f cut damaged/train-images-idx3-ubyte.gz
refuses 2 'fails 1 of 4 checks' data verify damaged
refuses 2 'train-images' train --preset mnist-quick --data damaged --out runs
rm -f damaged/train-images-idx3-ubyte.gz damaged/t10k-labels-idx1-ubyte.gz
refuses 2 'train-images-idx3-ubyte, t10k-labels-idx1-ubyte missing' train --preset mnist-quick --data damaged --out runs
[ -e runs ] && fail "a refused training left a run folder behind"

echo "-- apply"
narrow=(--preset svhn --weights "$golden/weights.safetensors")
for setting in nz=10 ngf=4 nif=4 nemb=16 ndf=16 width=0.0625; do narrow+=(--set "$setting"); done
apply() { # apply WHAT "INPUTS" OPTIONS: compares with the expected output
  local what=$1 inputs=() name
  for name in $2; do inputs+=(--in "$name=$golden/$name.npy"); done
  shift 2
  succeeds 'got\.npy: f32' apply "$what" "${narrow[@]}" "${inputs[@]}" --out got.npy "$@"
  close_to got.npy "$golden/expected-$what.npy"
  rm -f got.npy
}
apply generator 'z'
apply energy 'z'
apply encoder 'x'
apply denoiser 'z logsnr xemb'
apply sampler 'x zT'
apply posterior-chain 'z x' --steps 5
apply prior-chain 'z' --steps 5
succeeds 'got64.npy: f64 \[2\]' apply energy "${narrow[@]}" --in "z=$golden/z.npy" --out got64.npy --dtype f64
succeeds 'note: the CPU emulates .* tf32' apply generator "${narrow[@]}" --in "z=$golden/z.npy" --out got.npy --precision tf32
refuses 2 'f64 with a precision' apply energy "${narrow[@]}" --in "z=$golden/z.npy" --out none.npy --dtype f64 --precision tf32

head -c 150 "$golden/z.npy" >short.npy
head -c 40 /dev/urandom >noise.npy
: >empty.npy
zeros wide.npy '(2, 11)' 22
zeros one.npy '(1, 10)' 10
zeros none.npy '(0, 10)' 0
refused() { # refused PATTERN WHAT ARGUMENTS: exit code 2, and no output
  local pattern=$1 what=$2
  shift 2
  refuses 2 "$pattern" apply "$what" "${narrow[@]}" "$@" --out refused.npy
  [ -e refused.npy ] && fail "apply $what $*: an output in spite of the error"
}
for file in short noise empty; do refused "'$file.npy'" generator --in "z=$file.npy"; done
refused "'missing.npy' does not exist" generator --in z=missing.npy
refused 'z .*\[2, 11\], expected \[2, 10\]' generator --in z=wide.npy
refused 'z .*\[0, 10\], expected \[1, 10\]' generator --in z=none.npy
refused 'x .*expected \[1, 32, 32, 3\]' posterior-chain --in z=one.npy --in "x=$golden/x.npy"
refused 'input logsnr is missing' denoiser --in "z=$golden/z.npy" --in "xemb=$golden/xemb.npy"
refused "no input 'y'" generator --in "y=$golden/z.npy"
refused 'given twice' generator --in "z=$golden/z.npy" --in "z=$golden/z.npy"
refused 'no --steps' generator --in "z=$golden/z.npy" --steps 3
refused "no piece 'decoder'" decoder --in "z=$golden/z.npy"
refused 'nz = 11 is odd' generator --in "z=$golden/z.npy" --set nz=11
refused 'shape .*the model needs' generator --in "z=$golden/z.npy" --set ngf=8
refuses 2 "folder of --out" apply generator "${narrow[@]}" --in "z=$golden/z.npy" --out nowhere/got.npy
head -c 3000 "$golden/weights.safetensors" >cut.safetensors
refuses 2 "'cut.safetensors'" apply generator --preset svhn --weights cut.safetensors --in "z=$golden/z.npy" --out got.npy

echo "-- commands on a run"
mkdir -p runs/made
printf 'preset = "svhn"\nnz = 10\nngf = 4\nnif = 4\nnemb = 16\nndf = 16\nwidth = 0.0625\n' >runs/made/config.toml
refuses 2 'no weights|holds no weights' info runs/made
cp "$golden/weights.safetensors" runs/made/model-000005.safetensors
succeeds 'preset svhn, 5 of' info runs/made
succeeds '^Q.encoder  *[0-9]+ parameters' info "$golden/weights.safetensors"
refuses 2 'not a run folder' info .
refuses 2 'does not exist' info nowhere
refuses 2 'not a run folder' sample nowhere --out out
refuses 2 'runs is not a run folder' sample runs --out out
"$damc" sample runs --out out 2>&1 | grep -q '^hint: it holds runs; give one, such as runs/' || fail "the runs of a folder are not named"
refuses 2 "'out.png' is the folder that takes the files" sample runs/made --out out.png
succeeds '2000 images, the first 1024 shown' sample runs/made --from gaussian --count 2000 --out out
refuses 2 'damcx' sample runs/made --from damcx --out out
refuses 2 'count' sample runs/made --count 0 --out out
refuses 2 "cannot create the folder" sample runs/made --out runs/made/config.toml/out
succeeds 'samples-lebm.png: 5 images' sample runs/made --from damc,lebm,gaussian --count 5 --out out --separate --npy
for source in damc lebm gaussian; do
  exists out/samples-$source.png out/samples-$source.npy out/samples-$source/00000{0,4}.png
done
[ "$(stat -c %s out/samples-damc.npy)" = $((128 + 5 * 32 * 32 * 3 * 4)) ] || fail "samples-damc.npy has the wrong size"
succeeds 'samples-lebm.png: 5 images' sample runs/made --from lebm --count 5 --out out --separate
refuses 2 "out/samples-(damc|lebm)/00000[34].png' would stay beside the 3 new images" \
  sample runs/made --from damc,lebm --count 3 --out out --separate
succeeds 'seed 1' sample --count 5 --from gaussian,damc runs/made --out again --npy
cmp -s out/samples-damc.npy again/samples-damc.npy || fail "the same seed gives other samples"
succeeds 'seed 2' sample runs/made --count 5 --out again --npy --seed 2
cmp -s out/samples-damc.npy again/samples-damc.npy && fail "another seed gives the same samples"
succeeds 'emulates .* tf32' sample runs/made --count 5 --out again --npy --precision tf32
cmp -s out/samples-damc.npy again/samples-damc.npy && fail "tf32 gives the same samples as fp32"

echo "-- solvers"
succeeds 'seed 1, dpm-solver\+\+ in 5 steps, eta 0.5' sample runs/made --count 5 --out again --npy --solver dpm-solver++ --solver-steps 5 --eta 0.5
cmp -s out/samples-damc.npy again/samples-damc.npy && fail "another solver gives the same samples"
mkdir runs/ddim
{ cat runs/made/config.toml; printf 'solver = "ddim"\nsolver_steps = 7\neta = 0.3\n'; } >runs/ddim/config.toml
cp runs/made/model-000005.safetensors runs/ddim
succeeds 'ddim in 7 steps, eta 0.3' sample runs/ddim --count 5 --out ddim --npy
succeeds 'ddim in 7 steps, eta 0.3' sample runs/made --count 5 --out again --npy --solver ddim --solver-steps 7 --eta 0.3
cmp ddim/samples-damc.npy again/samples-damc.npy || fail "options of a solver are not what its keys are"
succeeds 'seed 1$' sample runs/ddim --count 5 --out again --npy --solver ancestral
cmp out/samples-damc.npy again/samples-damc.npy || fail "ancestral sampling keeps something of the run's own solver"
succeeds 'ddim in 9 steps, eta 0.3' sample runs/ddim --count 5 --out again --solver-steps 9
succeeds 'samples-lebm' sample runs/made --from lebm,damc --count 5 --out again --solver ddim
refuses 2 '--solver ddim: nothing is drawn from the sampler' sample runs/made --from lebm,gaussian --out none --solver ddim
refuses 2 "'euler' is not a value for solver" sample runs/made --out none --solver euler
refuses 2 'solver_steps = 1' sample runs/made --out none --solver-steps 1
refuses 2 'eta = 0.5 with solver ancestral' sample runs/made --out none --eta 0.5
refuses 2 'eta = 2 is out of range' sample runs/made --out none --solver ddim --eta 2
mkdir runs/lebm
{ cat runs/made/config.toml; printf 'method = "sr-lebm"\n'; } >runs/lebm/config.toml
cp runs/made/model-000005.safetensors runs/lebm
refuses 2 '--solver ddim: a run of method sr-lebm has no sampler' reconstruct runs/lebm --images out --out none --solver ddim
[ -e none ] && fail "a refused command left a folder behind"

echo "-- chains, reconstructions, measurements, data"
succeeds '8 chains of 20 steps' chain runs/made --steps 20,0 --out out
exists out/chain-20.png out/chain-0.png out/energy-20.npy
succeeds 'autocorrelation time +(at least )?[0-9.]+ steps' chain runs/made --steps 20 --out out
succeeds 'R-hat +[0-9.]+$' chain runs/made --steps 20 --out out
succeeds 'stability +[0-9.]+, limit 2$' chain runs/made --steps 20 --out out
grep -q '"rhat": [0-9.]' out/diagnosis-20.json || fail "diagnosis-20.json: $(cat out/diagnosis-20.json)"
refuses 2 'chain-20 would be written twice' chain runs/made --steps 20,0,20 --out out
succeeds 'stability' chain runs/made --steps 3 --chains 1 --seed 1 --out short
"$damc" chain runs/made --steps 3,4,5 --chains 1 --out short | grep -E ' -?nan|time +(at least )?-' && fail "chains too short for a number have one"
grep -q rhat out/diagnosis-0.json && fail "chains of no step have an R-hat"
cp -r runs/made runs/long && printf 'prior_step_size = 5.0\n' >>runs/long/config.toml
succeeds 'alarm: stability above 2: steps of size 5 ' chain runs/long --steps 2 --out out
[ "$(stat -c %s out/energy-20.npy)" = $((128 + 21 * 8 * 4)) ] || fail "energy-20.npy has the wrong size"
succeeds 'mse posterior .* over 5 images' reconstruct runs/made --images out/samples-damc --out out
exists out/reconstructions.png
succeeds 'mse sampler .* over 1 images' reconstruct runs/made --images out/samples-damc/000000.png --out out
refuses 2 "'nowhere' does not exist" reconstruct runs/made --images nowhere --out out
refuses 2 'Inception' eval runs/made --metric fid --data nowhere
refuses 2 'held-out' eval runs/made --metric mse,auprc --data nowhere
refuses 2 'pca-fd of 1 sample' eval runs/made --metric pca-fd --samples 1 --data nowhere
refuses 2 'metric mse is asked for twice' eval runs/made --metric mse,pca-fd,mse --data nowhere
refuses 2 'no data folder' eval runs/made
for idle in '--inception x' '--classifier x' '--reference x' '--reference-mode fid-float' '--from lebm'; do
  # shellcheck disable=SC2086
  refuses 2 "$idle: none of --metric mse uses it" eval runs/made $idle --data nowhere
done
refuses 2 'test-posterior-steps 3: none of --metric fid uses it' eval runs/made --metric fid --inception x \
  --test-posterior-steps 3 --data nowhere
refuses 2 'inception x: none of --metric pca-fd,mse uses it' eval runs/made --metric pca-fd,mse --inception x --data nowhere
refuses 2 'nowhere' eval runs/made --data nowhere
succeeds 'packed: 5 images of 64x64x3' data pack out/samples-damc packed --preset celeba64
succeeds 'format +packed' data info packed
refuses 2 'needs --preset P or --size N' data pack out/samples-damc packed
succeeds 'grey: 3 images of 32x32x1' data pack out/samples-damc grey --size 32 --grey --max-images 3 --crop centre
succeeds 'small: 5 images of 32x32x3' data pack out/samples-damc small --preset svhn

finish
