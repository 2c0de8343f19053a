/// IEEE half precision, which files hold and nothing computes with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace damc {

/// The value of a half from its bits.
inline float from_f16(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  float magnitude = 0.0f;
  if (exponent == 31) {
    magnitude = fraction ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
  } else {
    magnitude = static_cast<float>(exponent ? 1024 + fraction : fraction);
    magnitude = std::ldexp(magnitude, std::max(exponent, 1) - 25);
  }
  return bits >> 15 ? -magnitude : magnitude;
}

}  // namespace damc
