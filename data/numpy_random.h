/// NumPy's legacy generator, as far as it is needed to divide a data set exactly as published Python code
/// did.
#pragma once

#include <bit>
#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace damc {

/// `numpy.random.RandomState(seed)`: the same shuffles, one after the other.
class NumpyRandom {
 public:
  explicit NumpyRandom(std::uint32_t seed) : engine_(seed) {}

  /// `RandomState.shuffle(values)`; `values[RandomState.permutation(n)]` gives the same order.
  /// For fewer than 2^32 values.
  void shuffle(std::span<std::int64_t> values) {
    for (std::size_t i = values.size(); i-- > 1;)
      std::swap(values[i], values[up_to(static_cast<std::uint32_t>(i))]);
  }

 private:
  /// Uniform in [0, max]: draws as many low bits as `max` has, until they are not above it.
  std::uint32_t up_to(std::uint32_t max) {
    const std::uint32_t mask = static_cast<std::uint32_t>((std::uint64_t{1} << std::bit_width(max)) - 1);
    std::uint32_t value;
    do value = static_cast<std::uint32_t>(engine_()) & mask;
    while (value > max);
    return value;
  }

  std::mt19937 engine_;
};

}  // namespace damc
