#!/usr/bin/env bash
# What `cmake --install` gives another project (tests/outside), and what add_subdirectory does.   test_install.sh BUILD
set -u
root=$(realpath "$(dirname "$0")/..") build=$(realpath "$1") failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
fail() { echo "FAILED: $*"; failed=1; }
shows() { # shows PATTERN COMMAND: it ends well, and PATTERN is found
  local output
  output=$("${@:2}" 2>&1) || fail "exit code $?: ${*:2}: $output"
  grep -qE -- "$1" <<<"$output" || fail "no '$1' of ${*:2}: $output"
}
refused() { # refused PATTERN COMMAND
  local output
  output=$("${@:2}" 2>&1) && fail "not refused: ${*:2}"
  grep -qE -- "$1" <<<"$output" || fail "no '$1' of ${*:2}: $output"
}
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
configure() { cmake -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "$@"; }

# Installed, then moved: nothing in it knows where it was.
cmake --install "$build" --prefix "$work/first" >log 2>&1 || fail "$(cat log)"
mv first moved
grep -rlE "$root|$build|$work" moved/lib/cmake moved/include && fail "paths of this build in the files above"
headers=moved/include/damc
while IFS= read -r header; do
  [ -e "$headers/$header" ] || fail "$header is included, and not installed"
done < <(grep -rhoE '^#include "[^"]+"' "$headers" | cut -d'"' -f2 | sort -u)
shows '^damc [0-9]' moved/bin/damc --version

# The tests' own flags, a sanitizer's, have to reach a program that links a library made with them.
flags=
grep -q 'DAMC_SANITIZE:BOOL=ON' "$build/CMakeCache.txt" && flags=-fsanitize=address,undefined
outside=(configure -S "$root/tests/outside" -DCMAKE_EXE_LINKER_FLAGS="$flags")
shows 'Configuring done' "${outside[@]}" -B found -DCMAKE_PREFIX_PATH="$work/moved"
shows '' cmake --build found
shows '^error 0\.000000$' found/outside
shows '^the top of the density 3\.0000, a picture 2 pixels high$' found/sampler picture.png
refused 'version "9"' "${outside[@]}" -B other -DCMAKE_PREFIX_PATH="$work/moved" -DDAMC_VERSION=9
refused 'no component gpu' "${outside[@]}" -B none -DCMAKE_PREFIX_PATH="$work/moved" -DDAMC_COMPONENTS=gpu

# As a part of the project: its own flags stay its own, tests and tools stay away. One file is compiled, not the engine.
shows 'Configuring done' "${outside[@]}" -B part -DDAMC_SOURCE="$root"
own=$(sed -n 's/^ *"command": "\(.*outside\/main.cpp\)",$/\1/p' part/compile_commands.json)
shows '' bash -c "cd part && ${own//\\\"/\"}"
grep -q -- '-std=\(c\|gnu\)++20' <<<"$own" || fail "not C++20: $own"
grep -qE -- '-march|-fno-math-errno' <<<"$own" && fail "flags of damc: $own"
grep -E -- "\"file\": \"$root/(data|damc|tools|tests/test_)|-march=native" part/compile_commands.json \
  && fail "more than the engine, or for this processor alone: the lines above"
[ "$failed" = 0 ] && echo "all as expected"
exit "$failed"
