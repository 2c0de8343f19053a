#include "damc/toy/pinwheel.h"

#include <numbers>

#include "autograd/ops.h"

namespace damc {

Tensor sample_pinwheel(std::int64_t n, Generator& random) {
  const Tensor along = affine(random.normal({n, 1}), 0.3, 1.0);
  const Tensor across = mul(random.normal({n, 1}), 0.1);
  const Tensor arm = mul(greater(random.uniform({n, 1}), 0.5), std::numbers::pi);
  const Tensor angle = add(arm, mul(exp(along), 0.25));
  const Tensor c = cos(angle), s = sin(angle);
  const Tensor z1 = sub(mul(c, along), mul(s, across));
  const Tensor z2 = add(mul(s, along), mul(c, across));
  return mul(cat(std::vector<Tensor>{z1, z2}, 1), 2.0);
}

RandomMlp::RandomMlp(Generator& random) {
  constexpr std::int64_t sizes[] = {2, 128, 128, 128, 2};
  for (std::size_t i = 0; i + 1 < std::size(sizes); ++i) {
    weights_.push_back(mul(random.normal({sizes[i + 1], sizes[i]}), 0.2));
    biases_.push_back(mul(random.normal({sizes[i + 1]}), 0.1));
  }
}

Variable RandomMlp::forward(const Variable& z) const {
  const ProductOptions relu{{UnaryOp::leaky_relu, 0.0}};
  Variable h = z;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const bool last = i + 1 == weights_.size();
    h = linear(h, weights_[i], biases_[i], last ? ProductOptions() : relu);
  }
  return h;
}

}  // namespace damc
