#!/usr/bin/env bash
# GAN inversion in small, all of it: trains generator and encoder of digits, the sampler with its energy, and the energy of
# LEBM, inverts test digits by each method, and writes the table.
#   invert_mini.sh [--damc PROGRAM] [--out DIR] [--count N] [--steps N] [--device D]
# Some ten minutes of two cores, by estimate. What is there already is not trained again; an interrupted training goes on.
set -euo pipefail
cd "$(dirname "$0")/../.."

damc=build/bin/damc out=runs/invert-mini count=100 steps=100 device=cpu
while [ $# -gt 0 ]; do
  case $1 in
    --damc) damc=${2:?--damc needs a program} ;;
    --out) out=${2:?--out needs a folder} ;;
    --count) count=${2:?--count needs a number} ;;
    --steps) steps=${2:?--steps needs a number} ;;
    --device) device=${2:?--device needs a name} ;;
    *) echo "invert_mini: unknown option $1; see the head of the script" >&2; exit 2 ;;
  esac
  shift 2
done

# trained NAME OPTIONS...: the run of that name, made unless it is there, in $run; its newest weights in $weights.
trained() {
  local folder=$out/$1
  shift
  mkdir -p "$folder"
  run=$(find "$folder" -maxdepth 1 -name '00*' | sort | head -n 1)
  if [ -n "$run" ]; then
    "$damc" train --resume "$run" >>"$folder/train.txt" 2>&1
  else
    "$damc" train --data data/mnist --device "$device" --out "$folder" "$@" >"$folder/train.txt" 2>&1
    run=$(find "$folder" -maxdepth 1 -name '00*' | sort | head -n 1)
  fi
  weights=$(find "$run" -name 'model-*.safetensors' | sort | tail -n 1)
}

# inverted NAME OPTIONS...: a row of the table.
inverted() {
  local name=$1 said
  shift
  said=$("$damc" invert "${networks[@]}" --images data/mnist --count "$count" --batch 50 --device "$device" --pca-fd \
    --out "$out/inverted/$name" "$@")
  row "$name" "$(sed -nE 's/^mse start +([0-9.]+) .*/\1/p' <<<"$said")" "$(sed -nE 's/^mse +([0-9.]+) .*/\1/p' <<<"$said")" \
    "$(sed -nE 's/^pca-fd +([0-9.]+) .*/\1/p' <<<"$said")" "$(sed -nE 's/^mse .* ([0-9.]+) s an image.*/\1/p' <<<"$said")"
}
row() { printf '| %s | %s | %s | %s | %s |\n' "$@" | tee -a "$out/table.md"; }

trained networks --preset invert-mini-networks
networks=(--generator "$run/generator.safetensors" --encoder "$run/encoder.safetensors")
trained damc --preset invert-mini "${networks[@]}"
sampler=$weights
trained lebm --preset invert-mini "${networks[@]}" --method lebm
energy=$weights

rm -f "$out/table.md"
row method 'mse of G(z0)' mse pca-fd 's an image'
row --- ---: ---: ---: ---:
inverted encoder --from encoder --steps 0
inverted optimise --from encoder --steps "$steps"
for times in 1 2 4; do
  inverted "lebm, ${times}x" --from noise --energy "$energy" --sigma 0.3 --steps $((times * steps))
done
inverted 'damc, sampler alone' --sampler "$sampler" --steps 0
inverted damc --sampler "$sampler" --energy "$sampler" --sigma 0.3 --steps "$steps"
