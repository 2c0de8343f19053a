#!/usr/bin/env bash
# The packages: what they hold and need, and that the program runs from them.   test_package.sh BUILD
set -u
build=$(realpath "$1") failed=0
for program in dpkg-shlibdeps file; do # of dpkg-dev, and what it asks
  command -v "$program" >/dev/null || { echo "no $program: skipped"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
fail() { echo "FAILED: $*"; failed=1; }
expect() { # expect PATTERN TEXT
  grep -qE -- "$1" <<<"$2" || fail "no '$1' in: $2"
}

cpack --config "$build/CPackConfig.cmake" -B "$work" >log 2>&1 || fail "$(cat log)"
program=$(ls damc_*.deb) development=$(ls libdamc-dev_*.deb) archive=$(ls damc-*.tar.gz)
needs=$(dpkg-deb -f "$program" Depends)
# The names are Debian's and Ubuntu's, whose numbers differ from release to release.
for library in libc6 'libfmt[0-9]+' libgomp1 'libjpeg(62-turbo|-turbo8)' libmd0 libopenblas0-openmp 'libspng0(t64)?' libwebp7 \
  libwebpdemux2 'libzip[0-9]+(t64)?' zlib1g; do
  expect "(^|, )$library( \(|,|\$)" "$needs"
done
for library in libopenblas-openmp-dev libfmt-dev libzip-dev nlohmann-json3-dev libjpeg-dev libspng-dev; do
  expect "(^|, )$library(,|\$)" "$(dpkg-deb -f "$development" Depends)"
done
expect '^damc 0\.' "$(dpkg-deb -W --showformat '${Package} ${Version}' "$program")"
dpkg-deb -x "$program" program
dpkg-deb -x "$development" development
[ -e program/usr/share/doc/damc/copyright ] && [ -e development/usr/share/doc/libdamc-dev/copyright ] \
  || fail "no licence in a package"
[ -e development/usr/lib/cmake/damc/damcConfig.cmake ] || [ -n "$(find development -name damcConfig.cmake)" ] \
  || fail "find_package has nothing to find"
find program -name '*.a' | grep . && fail "a library beside the program"
find development -name damc -type f | grep . && fail "the program beside the libraries"

tar xzf "$archive"
for bin in program/usr/bin/damc "${archive%.tar.gz}/bin/damc"; do
  expect '^damc 0\.' "$("$bin" --version 2>&1)"
  expect 'tanh.*(ok|right|pass)' "$("$bin" gradcheck tanh 2>&1)"
done
data=program/usr/share/damc/mnist
expect 'mnist' "$(program/usr/bin/damc train --preset mnist-quick --data $data --dry-run 2>&1)"
[ "$failed" = 0 ] && echo "all as expected"
exit "$failed"
