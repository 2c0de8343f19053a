/// The noise stream against cuRAND's own Philox generator, whose device header also compiles for the host. Only
/// in builds with CUDA.
#include <cuda_runtime.h>
#define QUALIFIERS static inline  // of cuRAND's functions; for the device unless told otherwise
#include <curand_kernel.h>

#include <doctest/doctest.h>

#include <cmath>

#include "tensor/kernels/philox.h"

using namespace damc;

namespace {

constexpr std::uint64_t kSeeds[] = {0, 1, 42, 0xFFFFFFFF, 0x123456789ABCDEF0, ~std::uint64_t{0}};
constexpr std::uint64_t kStreams[] = {0, 1, 7, 0xFFFFFFFF, std::uint64_t{1} << 32, 0xFEDCBA9876543210};
/// Blocks whose number of words fits into cuRAND's 64-bit offset.
constexpr std::uint64_t kBlocks[] = {
    0, 1, 2, 1000, 0x3FFFFFFF, 0x40000000, 0xFFFFFFFF, 0x100000001, (std::uint64_t{1} << 62) - 1};

/// cuRAND's state at block k of a stream.
curandStatePhilox4_32_10 curand_at(std::uint64_t seed, std::uint64_t stream, std::uint64_t k) {
  curandStatePhilox4_32_10 state{};
  curand_init(seed, stream, 4 * k, &state);
  return state;
}

template <class F>
void for_each_block(const F& f) {
  for (const std::uint64_t seed : kSeeds) {
    for (const std::uint64_t stream : kStreams) {
      for (const std::uint64_t k : kBlocks) f(seed, stream, k);
    }
  }
}

}  // namespace

TEST_CASE("words: block k of a stream is cuRAND's at that subsequence and offset 4 k, bit for bit") {
  for_each_block([](std::uint64_t seed, std::uint64_t stream, std::uint64_t k) {
    auto state = curand_at(seed, stream, k);
    const uint4 wanted = curand4(&state);
    const Philox4u got = philox(seed, stream, k);
    CHECK(got.v[0] == wanted.x);
    CHECK(got.v[1] == wanted.y);
    CHECK(got.v[2] == wanted.z);
    CHECK(got.v[3] == wanted.w);
  });
}

TEST_CASE("words: drawn one after the other they are the same stream") {
  auto state = curand_at(5, 3, 0);
  for (std::uint64_t k = 0; k < 100; ++k) {
    const Philox4u block = philox(5, 3, k);
    for (const std::uint32_t word : block.v) CHECK(curand(&state) == word);
  }
}

TEST_CASE("uniform and normal numbers are cuRAND's, to float rounding") {
  const auto close = [](float got, float wanted, float size) {
    return std::abs(got - wanted) <= 4.0f * 1.1920929e-7f * size;
  };
  for_each_block([&](std::uint64_t seed, std::uint64_t stream, std::uint64_t k) {
    auto state = curand_at(seed, stream, k);
    const float4 u = curand_uniform4(&state);
    state = curand_at(seed, stream, k);
    const float4 w = curand_normal4(&state);
    const Philox4f uniform = uniform4(philox(seed, stream, k)), normal = normal4(philox(seed, stream, k));
    const float wanted_u[] = {u.x, u.y, u.z, u.w}, wanted_w[] = {w.x, w.y, w.z, w.w};
    for (int i = 0; i < 4; ++i) {
      CHECK(close(uniform.v[i], wanted_u[i], wanted_u[i]));
      // A pair is a radius and an angle; the angle's rounding moves both by its share of the radius.
      CHECK(close(normal.v[i], wanted_w[i], std::hypot(wanted_w[i], wanted_w[i ^ 1])));
    }
  });
}
