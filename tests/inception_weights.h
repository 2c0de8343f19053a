/// Weights of Inception-v3 that nobody has to store (golden/inception.py).
#pragma once

#include <cmath>
#include <map>
#include <string>

#include "damc/nets/inception.h"
#include "tests/golden.h"

namespace damc {

/// Handles of the same tensors at every call.
inline StateDict inception_weights() {
  static const StateDict made = [] {
    struct Range {
      double bound, offset;
    };
    const std::map<std::string, Range> ranges{{"weight", {0.3, 1.0}},
                                              {"bias", {0.3, 0.0}},
                                              {"running_mean", {0.2, 0.0}},
                                              {"running_var", {0.5, 1.0}}};
    StateDict state;
    for (const auto& [key, shape] : Inception::shapes()) {
      const double fan = static_cast<double>(shape.numel()) / static_cast<double>(shape[0]);
      const Range range =
          shape.ndim() == 4 ? Range{std::sqrt(6.0 / fan), 0.0} : ranges.at(key.substr(key.rfind('.') + 1));
      state[key] = golden_formula("inception." + key, shape, range.bound, range.offset);
    }
    return state;
  }();
  return made;
}

}  // namespace damc
