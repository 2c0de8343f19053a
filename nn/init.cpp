#include "nn/init.h"

#include <cmath>

#include "tensor/ops.h"

namespace damc {

Variable Init::uniform(const Shape& shape, std::int64_t fan_in) {
  const double bound = fan_in > 0 ? 1.0 / std::sqrt(static_cast<double>(fan_in)) : 0.0;
  return Variable(affine(random_.uniform(shape, dtype_), 2.0 * bound, -bound), true);
}

Variable Init::normal(const Shape& shape) { return Variable(random_.normal(shape, dtype_), true); }

Variable Init::constant(const Shape& shape, double value) {
  return Variable(Tensor::full(shape, value, dtype_, random_.device()), true);
}

}  // namespace damc
