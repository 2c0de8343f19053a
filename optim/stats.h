/// The numbers of one iteration by their names.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace damc {

/// Named scalars in the order they came. They stay on their device until they are read, and the next iteration may
/// overwrite those that a captured step gave.
class Stats {
 public:
  void add(std::string name, const Tensor& scalar) { numbers_.emplace_back(std::move(name), scalar); }
  void add(std::string name, double number);
  /// The results of a step, each under its name.
  template <std::size_t kCount>
  void add(const std::array<const char*, kCount>& names, const std::array<Tensor, kCount>& scalars) {
    for (std::size_t i = 0; i < kCount; ++i) add(names[i], scalars[i]);
  }

  bool contains(const std::string& name) const;
  /// Reads one number; waits for the device. Throws Error when there is none of the name.
  double operator[](const std::string& name) const;
  /// Reads all.
  std::vector<std::pair<std::string, double>> read() const;

 private:
  std::vector<std::pair<std::string, Tensor>> numbers_;
};

}  // namespace damc
