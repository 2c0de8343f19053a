/// Golden values: what PyTorch computes in float64, and the formula by which both sides make weights and
/// inputs.
///
/// golden/README.md lists the files and what their tensors mean; golden/make_golden.py states the formula.
/// Everything here is in PyTorch's layout, images N,H,W,C.
#pragma once

#include <map>
#include <string>

#include "nn/module.h"

namespace damc {

/// f32 numbers offset + bound u, u in [-1, 1) from a hash of the name and the index.
Tensor golden_formula(const std::string& name, const Shape& shape, double bound = 1.0, double offset = 0.0);

/// The input "input.<name>".
Tensor golden_input(const std::string& name, const Shape& shape, Dtype dtype);

/// Sets every parameter to the formula of its name, prefix included.
void fill_with_formula(Module& module, const std::string& prefix);

/// One file of golden values.
class Golden {
 public:
  /// tests/golden/<name>.safetensors
  explicit Golden(const std::string& name);

  /// Throws Error when the file has no such tensor.
  const Tensor& operator[](const std::string& name) const;
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }

  /// Relative error of `got` in the Euclidean norm: of the whole tensor, or the larger of the errors of its
  /// thinned entries and of its norm. A gradient that is zero but for rounding is measured against its
  /// weight's.
  double error(const std::string& name, const Tensor& got) const;

 private:
  double thinned_error(const std::string& name, const Tensor& got, double norm) const;

  std::map<std::string, Tensor> tensors_;
};

}  // namespace damc
