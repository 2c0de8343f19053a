#!/usr/bin/env bash
# How many files it takes to add an operation or a kernel: those in which one that is there is named.
set -u
cd "$(dirname "$0")/.."
failed=0
count() {  # count WHAT NAMES PLACES EXPECTED FILES...
  local what=$1 names=$2 places=$3
  shift 3
  # shellcheck disable=SC2086
  local found expected
  found=$(grep -rlwE "$names" $places | sort)
  expected=$(printf '%s\n' "$@" | sort)
  echo "$what ($names): $(wc -l <<< "$found") files"
  if [ "$found" != "$expected" ]; then
    diff <(echo "$expected") <(echo "$found") | grep '^[<>]'
    failed=1
  fi
}
# The functor with its place in the list; the function, of tensors and variables; its derivative as operations; the row of
# the table of operations.
count "a pointwise function" softplus "tensor autograd nn optim" \
  tensor/kernels/functors.h tensor/ops.h autograd/pointwise.cpp autograd/checks/pointwise_cases.cpp
# The contract, the list for who watches, the loop over both devices and its body; the checked function of tensors.
# Neither device, nor the trace, nor the devices of the tests name it.
count "another kernel" "pool2d|PoolBody" "tensor tests/guarded_backend.h tests/guarded_backend.cpp
  tests/rehearsal_backend.h tests/rehearsal_backend.cpp tests/grid_backend.h" \
  tensor/backend.h tensor/watch/intercepted_backend.h tensor/kernels/shared_kernels.h tensor/kernels/pool_bodies.h \
  tensor/ops.h tensor/ops.cpp
exit "$failed"
