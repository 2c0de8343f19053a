#!/usr/bin/env bash
# What a chapter's program prints stands in the chapter, line by line in one block.   test_chapter.sh PROGRAM PAGE
set -u
output=$("$1") || { echo "FAILED: $1: exit code $?"; exit 1; }
shown=$(sed -n 's/^    //p' "$2")
if [[ $'\n'$shown$'\n' != *$'\n'"$output"$'\n'* ]]; then
  echo "FAILED: $2 does not show:"
  echo "$output"
  exit 1
fi
echo "shown as printed"
