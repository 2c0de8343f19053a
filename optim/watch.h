/// Notices on the device when a number is not finite: losses need not be read back at every update, and no
/// update that follows a bad number reaches the weights.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace damc {

class FiniteWatch {
 public:
  explicit FiniteWatch(Device device);

  /// A code for numbers of this description.
  std::int64_t add(std::string what);
  /// The description of a code that add() gave.
  const std::string& what(std::int64_t code) const { return what_.at(static_cast<std::size_t>(code)); }

  /// Numbers seen from now on belong to iteration k >= 0. A finding stays.
  void begin(std::int64_t k) { state_.narrow(0, 0, 1).fill(static_cast<double>(k)); }
  /// Looks at a scalar on the device; `code` (>= 0) is what a finding calls it.
  void see(const Tensor& scalar, std::int64_t code) const;

  /// The first number that was not finite.
  struct Finding {
    std::int64_t iteration, code;
    bool is_nan;  ///< else infinite
  };
  /// Waits for the device.
  std::optional<Finding> read() const;
  /// Forgets a finding; numbers belong to iteration 0.
  void reset();

  /// What kernels look at, Backend::watch.
  const Tensor& state() const { return state_; }

 private:
  Tensor state_;
  std::vector<std::string> what_;  // by code
};

}  // namespace damc
