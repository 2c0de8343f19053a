#!/usr/bin/env bash
# The programs of tools/examples, small.   test_examples.sh FOLDER
set -u
examples=$(realpath "$1") root=$(realpath "$(dirname "$0")/..") failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

shows() { # shows PATTERN PROGRAM ARGUMENTS: it ends well, and each line of PATTERN is found
  local output pattern program=$2
  output=$("$examples/$program" "${@:3}" 2>&1) || { echo "FAILED: $program: exit code $?: $output"; failed=1; }
  while IFS= read -r pattern; do
    grep -qE -- "$pattern" <<<"$output" || { echo "FAILED: $program: no '$pattern' in: $output"; failed=1; }
  done <<<"$1"
}

shows 'mish: right, within [0-9]e-1[0-9]
its second derivative: right
with a mistake: input 0 of shape \[3, 4\], element \[[0-9], [0-9]\]: analytic ' custom_op
shows 'off the difference of gradients by [0-9]e-(0[89]|1)
largest curvature: -?[0-9]' hessian_vector
shows 'energy distance to the data: of samples 0\.' energy_2d 2
shows 'two sets of long chains are 0\.0' amortise_density 2
# A fifteenth of an epoch is enough for three digits of four.
shows '^([89][0-9]|7[5-9])\.[0-9]+ % of 10000 test digits' mnist_mlp "$root/data/mnist" 0.0667
shows 'mean squared error of 500 test digits: 0\.[0-3][0-9]+ of 0\.[3-6]' autoencoder "$root/data/mnist" 60 "$scratch/digits.png"
[ -s "$scratch/digits.png" ] || { echo "FAILED: autoencoder wrote no picture"; failed=1; }
[ "$failed" = 0 ] && echo "all as expected"
exit "$failed"
