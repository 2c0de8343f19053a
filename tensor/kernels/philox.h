/// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"
/// (2011).
///
/// Block k of stream s under a seed is a pure function of (seed, s, k), so any part of a stream can be drawn
/// in any order by any number of threads. Counter, key and the transforms to floats are those of cuRAND's
/// device generator curandStatePhilox4_32_10 with subsequence s and offset 4 k: both give the same numbers,
/// to float rounding.
#pragma once

#include <cmath>
#include <cstdint>

#include "tensor/host_device.h"
#include "tensor/kernels/elementary.h"

namespace damc {

/// Numbers that one block of the generator yields.
inline constexpr int kBlockNumbers = 4;
/// Blocks that n numbers take.
DAMC_HD inline std::int64_t noise_blocks(std::int64_t n) { return (n + kBlockNumbers - 1) / kBlockNumbers; }

/// Four 32-bit words or four floats: what one block of the generator yields.
struct Philox4u {
  std::uint32_t v[4];
};
struct Philox4f {
  float v[4];

  /// v[j], chosen rather than looked up, which leaves the four in registers on a GPU.
  DAMC_HD float at(std::int64_t j) const { return j < 2 ? j == 0 ? v[0] : v[1] : j == 2 ? v[2] : v[3]; }
};

/// Block `k` of `stream` under `seed`.
DAMC_HD inline Philox4u philox(std::uint64_t seed, std::uint64_t stream, std::uint64_t k) {
  std::uint32_t c0 = static_cast<std::uint32_t>(k), c1 = static_cast<std::uint32_t>(k >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(stream), c3 = static_cast<std::uint32_t>(stream >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0, p1 = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// Uniform on (0, 1]: (bits + 1/2) / 2^32.
DAMC_HD inline float uniform_from_bits(std::uint32_t bits) {
  constexpr float unit = 2.3283064365386963e-10f;
  return static_cast<float>(bits) * unit + unit / 2.0f;
}

DAMC_HD inline Philox4f uniform4(Philox4u bits) {
  return {{uniform_from_bits(bits.v[0]), uniform_from_bits(bits.v[1]), uniform_from_bits(bits.v[2]),
           uniform_from_bits(bits.v[3])}};
}

/// Four N(0, 1) numbers by two Box-Muller transforms: sqrt(-2 log u) (sin 2 pi v, cos 2 pi v).
DAMC_HD inline Philox4f normal4(Philox4u bits) {
  const Philox4f u = uniform4(bits);
  Philox4f out{};
  for (int pair = 0; pair < 4; pair += 2) {
    const float radius = std::sqrt(-2.0f * elementary_log(u.v[pair]));
    const SinCos<float> direction = sincos_turns(u.v[pair + 1]);
    out.v[pair] = radius * direction.sin;
    out.v[pair + 1] = radius * direction.cos;
  }
  return out;
}

}  // namespace damc
