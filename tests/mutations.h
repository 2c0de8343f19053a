/// Damaged copies of files, for readers that have to survive them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <span>
#include <vector>

namespace damc {

/// A copy with up to four bytes, numbers or stretches changed, and one in four cut off. Half of the changes hit the
/// first 200 bytes behind a multiple of `block`, where headers are.
inline std::vector<std::byte> mutated(std::span<const std::byte> file, std::size_t block,
                                      std::mt19937& random) {
  constexpr std::uint64_t kNumbers[] = {
      0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, ~std::uint64_t{0}};
  std::vector<std::byte> bytes(file.begin(), file.end());
  const auto below = [&](std::size_t n) { return random() % n; };
  const auto place = [&] {
    const std::size_t at = below(bytes.size());
    return below(2)
               ? at
               : at / block * block + below(std::min<std::size_t>(200, bytes.size() - at / block * block));
  };
  for (std::size_t edits = 1 + below(4); edits > 0; --edits) {
    const std::size_t at = place(), room = bytes.size() - at;
    if (below(3) == 0) {
      const std::uint64_t number = kNumbers[below(std::size(kNumbers))];
      std::memcpy(&bytes[at], &number, std::min<std::size_t>(room, std::size_t{1} << below(4)));
    } else if (below(6) == 0) {
      const std::size_t from = place(), size = std::min({room, bytes.size() - from, 1 + below(64)});
      std::memmove(&bytes[at], &bytes[from], size);
    } else {
      bytes[at] = static_cast<std::byte>(random());
    }
  }
  if (below(4) == 0) bytes.resize(below(bytes.size()));
  return bytes;
}

}  // namespace damc
