/// How far the results of a precision are from f64's.
#pragma once

#include <string>
#include <vector>

#include "damc/config.h"

namespace damc {

/// Relative errors |a - b| / |b| (L2) of one part of the model, b in f64.
struct PrecisionError {
  std::string part;
  double value;
  double
      gradients;  ///< of a random projection, with respect to input and parameters, all together; chains: 0
};

/// The networks and chains of a configuration with fresh weights, on n random images, in config.precision against
/// the same weights and noise in f64 (on the CPU).
std::vector<PrecisionError> precision_errors(const Config& config, std::int64_t n);

}  // namespace damc
