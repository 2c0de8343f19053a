/// exp and tanh in single precision as straight-line code, which compilers turn into SIMD inside a loop (a call into
/// the math library stays a call). Polynomials of the Cephes library; errors are below 1.5 units in the last place.
/// Double precision, and the GPU, use the library's.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tensor/host_device.h"

namespace damc {

/// exp(x) = 2^n exp(r) with n = round(x / ln 2), so that |r| <= ln 2 / 2.
inline float exp_polynomial(float x) {
  constexpr float rounder = 12582912.0f;  // 1.5 2^23: adding it leaves the rounded number in the lowest bits
  const float shifted = x * 1.44269504f + rounder;
  const float n = shifted - rounder;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) << 23;
  const float scaled = std::bit_cast<float>(std::bit_cast<std::uint32_t>(p) + exponent);
  const float bounded = x > 88.7228f ? std::numeric_limits<float>::infinity() : x < -87.3365f ? 0.0f : scaled;
  return x == x ? bounded : x;  // the integer arithmetic above can turn a NaN into a number
}

inline float tanh_polynomial(float x) {
  const float size = std::fabs(x), z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near_zero = p * z * x + x;
  const float elsewhere = std::copysign(1.0f - 2.0f / (exp_polynomial(2.0f * size) + 1.0f), x);
  return size < 0.625f ? near_zero : elsewhere;
}

DAMC_HD inline float elementary_exp(float x) {
#if defined(__CUDA_ARCH__)
  return std::exp(x);
#else
  return exp_polynomial(x);
#endif
}
DAMC_HD inline double elementary_exp(double x) { return std::exp(x); }

DAMC_HD inline float elementary_tanh(float x) {
#if defined(__CUDA_ARCH__)
  return std::tanh(x);
#else
  return tanh_polynomial(x);
#endif
}
DAMC_HD inline double elementary_tanh(double x) { return std::tanh(x); }

}  // namespace damc
