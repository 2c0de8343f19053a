/// bf16: the upper half of an f32, so its range with 8 significant bits. A type of storage: numbers are loaded as
/// f32, and rounded to nearest (ties to even) when they are stored.
#pragma once

#include <bit>
#include <cstdint>

#include "tensor/host_device.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#endif

namespace damc {

struct bf16 {
  std::uint16_t bits;

  bf16() = default;
  /// NaN becomes the one NaN that a GPU's conversion gives.
  DAMC_HD explicit bf16(float x) : bits(rounded(x)) {}
  DAMC_HD explicit bf16(double x) : bf16(static_cast<float>(x)) {}
  DAMC_HD operator float() const {  // NOLINT: implicit, so that formulas read as they do for floats
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }

 private:
  DAMC_HD static std::uint16_t rounded(float x) {
#if defined(__CUDA_ARCH__)
    return __bfloat16_as_ushort(__float2bfloat16_rn(x));
#else
    const auto whole = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t nearest = (whole + 0x7FFFu + (whole >> 16 & 1u)) >> 16;
    return static_cast<std::uint16_t>(x == x ? nearest : 0x7FFFu);
#endif
  }
};

}  // namespace damc
