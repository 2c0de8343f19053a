/// The toy world of Appendix E.1, two-dimensional throughout: a 2-arm pinwheel of latent points z [N, 2], and
/// a fixed random network g that observations x = g(z) + noise [N, 2] come from.
#pragma once

#include <vector>

#include "nn/layers.h"
#include "tensor/random.h"

namespace damc {

/// n points of the pinwheel: z = 2 R(a) (1 + 0.3 r, 0.1 t) with r, t ~ N(0, 1), R(a) the rotation by
/// a = arm + 0.25 exp(1 + 0.3 r), and arm 0 or pi with equal chances. [n, 2]
Tensor sample_pinwheel(std::int64_t n, Generator& random);

/// g: a multilayer perceptron 2-128-128-128-2 with ReLU between, weights N(0, 0.2^2), biases N(0, 0.1^2);
/// never trained.
class RandomMlp final : public Layer {
 public:
  explicit RandomMlp(Generator& random);
  /// z [N, 2] -> [N, 2]
  Variable forward(const Variable& z) const override;

 private:
  std::vector<Tensor> weights_, biases_;  // [out, in], [out]
};

}  // namespace damc
