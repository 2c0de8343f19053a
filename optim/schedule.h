/// The learning rate over iterations: times `factor` every `every` iterations, never below `least`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace damc {

struct ExponentialDecay {
  double initial;
  double factor;
  std::int64_t every;
  double least;

  /// Rate of iteration k, counted from 0.
  double at(std::int64_t k) const {
    return std::max(std::min(initial, least), initial * std::pow(factor, static_cast<double>(k / every)));
  }
};

}  // namespace damc
