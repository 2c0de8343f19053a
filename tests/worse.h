/// The largest of many errors.
#pragma once

#include <cmath>

namespace damc {

/// The larger of two errors. NaN is the largest of all; std::max and std::fmax would lose it.
inline double worse(double a, double b) { return std::isnan(a) || b <= a ? a : b; }

}  // namespace damc
