/// Networks that judge images, alone or with a latent vector, and of which no density is made: those of the methods in
/// which networks play against each other.
#pragma once

#include "damc/nets/networks.h"

namespace damc {

/// An energy of observations, x [N, ...] -> [N, 1].
class DataEnergy : public Layer {
 public:
  /// v . dE/dx of every row, [N, 1], as a function of the parameters that one gradient differentiates: what |dE/dx|^2 is
  /// learned by without second derivatives. v has the shape of x, and takes no gradient.
  virtual Variable tangent(const Tensor& x, const Tensor& v) const = 0;
};

/// A judgement of pairs, x [N, ...] and z [N, nz] -> a logit [N, 1].
class PairCritic : public Module {
 public:
  virtual Variable forward(const Variable& x, const Variable& z) const = 0;
};

/// The encoder of Table S4 without InstanceNorm, which would take an image's contrast out of its energy, and with an
/// LReLU(0.2) after every convolution, the last as well. x [N, H, W, C] -> [N, nemb].
class CriticTrunk final : public Layer {
 public:
  CriticTrunk(const Architecture& images, std::int64_t nif, std::int64_t nemb, Init& init);
  Variable forward(const Variable& x) const override;
  /// What a change v of x changes the output by, to first order, [N, nemb].
  Variable tangent(const Tensor& x, const Tensor& v) const;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

 private:
  std::vector<std::unique_ptr<Conv2d>> layers_;
  std::vector<ConvOptions> options_;
};

/// E(x): a trunk and a linear map. Differs: the networks of Kumar et al. (2019) have 5x5 filters of their own widths.
class ImageEnergy final : public DataEnergy {
 public:
  ImageEnergy(const Architecture& images, std::int64_t nif, std::int64_t nemb, Init& init);
  Variable forward(const Variable& x) const override { return last_.forward(trunk_.forward(x)); }
  Variable tangent(const Tensor& x, const Tensor& v) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

 private:
  CriticTrunk trunk_;
  Linear last_;
};

/// Features of x and of z beside each other, a hidden layer, a logit.
struct PairCriticOptions {
  std::int64_t features;    ///< of x
  std::int64_t z_features;  ///< of z, by a linear layer with LReLU; 0: z itself
  std::int64_t hidden;
  double slope;  ///< of LReLU after the trunk
};

class ImagePairCritic final : public PairCritic {
 public:
  ImagePairCritic(const Architecture& images, std::int64_t nif, std::int64_t nz,
                  const PairCriticOptions& options, Init& init);
  Variable forward(const Variable& x, const Variable& z) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

 private:
  CriticTrunk trunk_;
  Sequential z_, joint_;
};

}  // namespace damc
