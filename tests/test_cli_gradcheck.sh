#!/usr/bin/env bash
# damc gradcheck: all operations and layers; some by name; names that are not there.
# What it says of a wrong gradient is tested in test_gradcheck.cpp.   test_cli_gradcheck.sh DAMC
# shellcheck source=tests/cli_functions.sh
. "$(dirname "$0")/cli_functions.sh"

"$damc" gradcheck >table || fail "damc gradcheck: exit code $?: $(grep -A1 FAILED table)"
for op in add matmul conv2d instance_norm log_softmax Linear Sequential; do
  grep -qE "^$op +[0-9]+ +[0-9.e+-]+ +[0-9.e+-]+ +[0-9.e+-]+ passed  .*input [0-9]+, " table || fail "no line of $op in: $(cat table)"
done
tail -1 table | grep -qE '^[0-9]+ operations and layers, [0-9]+ cases on cpu in [0-9.]+ s: all passed$' ||
  fail "the last line is: $(tail -1 table)"

succeeds '^2 operations and layers, [0-9]+ cases on cpu' gradcheck MaxPool2d softplus
[ "$("$damc" gradcheck softplus | wc -l)" = 3 ] || fail "gradcheck softplus: not a line of its own"
refuses 2 "no operation or layer 'sofplus'" gradcheck tanh sofplus
"$damc" gradcheck sofplus 2>&1 | grep -q "^hint: did you mean 'softplus'?" || fail "no suggestion for sofplus"
refuses 2 "'tpu'" gradcheck --device tpu
refuses 2 'is empty' gradcheck ''
finish
