/// exp, log, tanh, sine and cosine in single precision as straight-line code, which compilers turn into SIMD inside a
/// loop (a call into the math library stays a call). Polynomials of the Cephes library; errors are below 1.5 units in
/// the last place (of 1 for sine and cosine). Double precision, and the GPU, use the library's.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

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
  const float elsewhere = 1.0f - 2.0f / (exp_polynomial(2.0f * size) + 1.0f);
  return std::copysign(size < 0.625f ? near_zero : elsewhere, x);  // of -0, too
}

/// log(x) of a positive normal number: x = 2^n m with sqrt(1/2) <= m < sqrt(2).
inline float log_polynomial(float x) {
  constexpr std::uint32_t root_half = 0x3F3504F3u;  // sqrt(1/2) in bits
  const std::uint32_t above = std::bit_cast<std::uint32_t>(x) - root_half;
  const float n = static_cast<float>(static_cast<std::int32_t>(above) >> 23);
  const float m = std::bit_cast<float>((above & 0x007FFFFFu) + root_half);
  const float r = m - 1.0f, z = r * r;
  float p = 7.0376836292e-2f;
  p = p * r - 1.1514610310e-1f;
  p = p * r + 1.1676998740e-1f;
  p = p * r - 1.2420140846e-1f;
  p = p * r + 1.4249322787e-1f;
  p = p * r - 1.6668057665e-1f;
  p = p * r + 2.0000714765e-1f;
  p = p * r - 2.4999993993e-1f;
  p = p * r + 3.3333331174e-1f;
  p = p * r * z - 2.12194440e-4f * n - 0.5f * z;  // ln 2 in two parts
  return (r + p) + 0.693359375f * n;
}

template <class T>
struct SinCos {
  T sin, cos;
};

/// sin 2 pi t and cos 2 pi t: whole turns and quarters of a turn are taken off, the rest is an angle of at most pi / 4.
inline SinCos<float> sincos_turns_polynomial(float t) {
  constexpr float rounder = 12582912.0f;  // as above
  const float part = t - std::rint(t), shifted = 4.0f * part + rounder;
  const float angle = (part - (shifted - rounder) * 0.25f) * (2.0f * std::numbers::pi_v<float>);
  const float z = angle * angle;
  float s = -1.9515295891e-4f;
  s = s * z + 8.3321608736e-3f;
  s = s * z - 1.6666654611e-1f;
  s = s * z * angle + angle;
  float c = 2.443315711809948e-5f;
  c = c * z - 1.388731625493765e-3f;
  c = c * z + 4.166664568298827e-2f;
  c = c * z * z - 0.5f * z + 1.0f;
  const std::uint32_t quarters = std::bit_cast<std::uint32_t>(shifted);
  const bool odd = quarters & 1;
  const std::uint32_t sine_sign = (quarters & 2) << 30, cosine_sign = ((quarters + 1) & 2) << 30;
  return {std::bit_cast<float>(std::bit_cast<std::uint32_t>(odd ? c : s) ^ sine_sign),
          std::bit_cast<float>(std::bit_cast<std::uint32_t>(odd ? s : c) ^ cosine_sign)};
}

DAMC_HD inline float elementary_exp(float x) {
#if defined(__CUDA_ARCH__)
  return std::exp(x);
#else
  return exp_polynomial(x);
#endif
}
DAMC_HD inline double elementary_exp(double x) { return std::exp(x); }

/// log(x), x > 0 and normal
DAMC_HD inline float elementary_log(float x) {
#if defined(__CUDA_ARCH__)
  return std::log(x);
#else
  return log_polynomial(x);
#endif
}

DAMC_HD inline float elementary_tanh(float x) {
#if defined(__CUDA_ARCH__)
  return std::tanh(x);
#else
  return tanh_polynomial(x);
#endif
}
DAMC_HD inline double elementary_tanh(double x) { return std::tanh(x); }

/// sin 2 pi t and cos 2 pi t
DAMC_HD inline SinCos<float> sincos_turns(float t) {
#if defined(__CUDA_ARCH__)
  SinCos<float> value;
  sincospif(2.0f * t, &value.sin, &value.cos);
  return value;
#else
  return sincos_turns_polynomial(t);
#endif
}
DAMC_HD inline SinCos<double> sincos_turns(double t) {
#if defined(__CUDA_ARCH__)
  SinCos<double> value;
  sincospi(2.0 * t, &value.sin, &value.cos);
  return value;
#else
  const double angle = 2.0 * std::numbers::pi * (t - std::rint(t));
  return {std::sin(angle), std::cos(angle)};
#endif
}

}  // namespace damc
