/// Random access random numbers: the i-th output of SplitMix64 (Steele, Lea, Flood 2014) computed directly
/// from i. No state is kept, so whatever is drawn this way is the same before and after an interruption.
#pragma once

#include <cstdint>

namespace damc {

/// Output number `i` (0-based) of SplitMix64 seeded with `key`; uniform over all 64-bit numbers.
/// Nested calls make independent streams: `counter_hash(counter_hash(seed, stream), i)`.
constexpr std::uint64_t counter_hash(std::uint64_t key, std::uint64_t i) {
  std::uint64_t x = key + (i + 1) * 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace damc
