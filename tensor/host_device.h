/// Marks code that runs both on the host and inside CUDA kernels.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define DAMC_HD __host__ __device__
#else
#define DAMC_HD
#endif

/// Before a loop that runs seldom or a single time: nvcc, which unrolls any loop, leaves it small.
#if defined(__CUDA_ARCH__)
#define DAMC_ROLLED _Pragma("unroll 1")
#else
#define DAMC_ROLLED
#endif

namespace damc {

/// a / b, neither negative; a GPU divides 32-bit numbers several times as fast.
DAMC_HD inline std::int64_t quotient(std::int64_t a, std::int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<std::uint32_t>(a) / static_cast<std::uint32_t>(b);
  return a / b;
}

}  // namespace damc
