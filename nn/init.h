/// How new parameters are drawn: PyTorch's default rules, its kaiming-uniform with a = sqrt(5), which comes
/// to U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weights and biases alike.
#pragma once

#include "autograd/variable.h"
#include "tensor/product_options.h"
#include "tensor/random.h"

namespace damc {

/// What layers are made with: leaves that require gradients, drawn from one random stream on its device, and the
/// precision in which the layers multiply.
class Init {
 public:
  explicit Init(Generator& random, Dtype dtype = Dtype::f32, MatmulPrecision precision = MatmulPrecision::f32)
      : random_(random), dtype_(dtype), precision_(precision) {}

  MatmulPrecision precision() const { return precision_; }
  /// U(-bound, bound) with bound = 1/sqrt(fan_in), 0 for a fan_in of 0
  Variable uniform(const Shape& shape, std::int64_t fan_in);
  /// N(0, 1)
  Variable normal(const Shape& shape);
  Variable constant(const Shape& shape, double value);

 private:
  Generator& random_;
  Dtype dtype_;
  MatmulPrecision precision_;
};

}  // namespace damc
