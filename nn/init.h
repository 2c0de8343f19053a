/// How new parameters are drawn: PyTorch's default rules, its kaiming-uniform with a = sqrt(5), which comes
/// to U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weights and biases alike.
#pragma once

#include "autograd/variable.h"
#include "tensor/random.h"

namespace damc {

/// Makes leaves that require gradients, from one random stream, on its device.
class Init {
 public:
  explicit Init(Generator& random, Dtype dtype = Dtype::f32) : random_(random), dtype_(dtype) {}

  /// U(-bound, bound) with bound = 1/sqrt(fan_in)
  Variable uniform(const Shape& shape, std::int64_t fan_in);
  /// N(0, 1)
  Variable normal(const Shape& shape);
  Variable constant(const Shape& shape, double value);

 private:
  Generator& random_;
  Dtype dtype_;
};

}  // namespace damc
