# shellcheck shell=bash
# What the tests of the command line share: source it with the path of damc as $1. It leaves the test in an empty
# folder of its own.
set -u
export LC_ALL=C
damc=$(realpath "$1")
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
failed=0

fail() {
  echo "FAILED: $*"
  failed=1
}

# succeeds PATTERN ARGUMENTS: exit code 0 and PATTERN on the screen.
succeeds() {
  local pattern=$1 output code
  shift
  output=$("$damc" "$@" 2>&1)
  code=$?
  [ "$code" = 0 ] || fail "damc $*: exit code $code: $output"
  grep -qE -- "$pattern" <<<"$output" || fail "damc $*: no '$pattern' in: $output"
}

# refuses CODE PATTERN ARGUMENTS: that exit code, and on stderr one line with PATTERN and perhaps a hint.
refuses() {
  local expected=$1 pattern=$2 message code
  shift 2
  message=$("$damc" "$@" 2>&1 >stdout)
  code=$?
  [ "$code" = "$expected" ] || fail "damc $*: exit code $code, expected $expected: $message"
  head -1 <<<"$message" | grep -qE -- "^damc: error: .*$pattern" || fail "damc $*: no '$pattern' in: $message"
  [ "$(wc -l <<<"$message")" -le 2 ] || fail "damc $*: more than a line and a hint: $message"
  tail -n +2 <<<"$message" | grep -qvE '^hint: .' && fail "damc $*: the second line is no hint: $message"
}

exists() {
  local file
  for file in "$@"; do [ -s "$file" ] || fail "there is no $file"; done
}

# zeros FILE SHAPE COUNT: an f32 .npy file of zeros.
zeros() {
  { printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': $2, }"
    head -c $((4 * $3)) /dev/zero; } >"$1"
}

# close_to FILE FILE: two f32 .npy files of equally many numbers, relative error below 1e-5 in the L2 norm.
close_to() {
  local a b
  for file in "$1" "$2"; do tail -c +129 "$file" | od -An -v -tf4 -w4 >"$(basename "$file").txt"; done
  a=$(basename "$1").txt b=$(basename "$2").txt
  [ "$(wc -l <"$a")" = "$(wc -l <"$b")" ] || fail "$1 and $2 have different sizes"
  paste "$a" "$b" | awk '{ e += ($1 - $2)^2; n += $2^2 } END { exit !(n > 0 && e < 1e-10 * n) }' ||
    fail "$1 differs from $2"
}

# small_set FOLDER FIRST COUNT TESTS: COUNT training images of the bundled MNIST, from number FIRST on, and TESTS test
# images.
small_set() {
  local prefix n first
  mkdir -p "$1"
  big_endian() { printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)))"; }
  for prefix in train t10k; do
    n=$3 first=$2
    [ $prefix = t10k ] && n=$4 first=0
    { big_endian 2051; big_endian "$n"; big_endian 28; big_endian 28
      zcat "$root/data/mnist/$prefix-images-idx3-ubyte.gz" | tail -c +$((17 + 784 * first)) | head -c $((784 * n)); } \
      >"$1/$prefix-images-idx3-ubyte"
    { big_endian 2049; big_endian "$n"
      zcat "$root/data/mnist/$prefix-labels-idx1-ubyte.gz" | tail -c +$((9 + first)) | head -c "$n"; } \
      >"$1/$prefix-labels-idx1-ubyte"
  done
}

# A net of next to no width.
tiny=(--set nz=4 --set ngf=2 --set nif=2 --set nemb=8 --set ndf=8 --set width=0.0625 --set diffusion_steps=5)

# finish: to be called last; the exit code says whether all was as expected.
finish() {
  find . -name '*.tmp-*' | grep . && fail "temporary files are left"
  [ "$failed" = 0 ] && echo "all as expected"
  exit "$failed"
}
