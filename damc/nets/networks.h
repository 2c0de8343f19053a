/// The networks of Tables S1, S2 and S4: energy E, generator G and encoder, for every data set.
///
/// Images are N,H,W,C in [-1, 1]; z is [N, nz]. In bf16 the activations of G and the encoder, from the input to the
/// last layer's sums, are bf16; what comes in and out is f32, and so is G's tanh, whose derivative 1 - y^2 would lose
/// its digits. Parameter names are the authors' (under "E.", "G.",
/// "Q.encoder.").
#pragma once

#include <string>
#include <vector>

#include "damc/precision.h"
#include "nn/layers.h"

namespace damc {

/// One (transposed) convolution: kernel, stride, padding and the number of output channels as a multiple of
/// ngf or nif; 0 stands for the network's own output: the image's channels, or nemb.
struct ConvSpec {
  std::int64_t kernel, stride, padding, width;
};

/// What depends on the kind of images.
struct Architecture {
  std::string name;
  std::int64_t size;  ///< height and width in pixels
  std::int64_t channels;
  std::vector<ConvSpec> generator;  ///< Table S2
  std::vector<ConvSpec> encoder;    ///< Table S4
};

/// "svhn", "celeba64", "cifar10", "celebahq" or "mnist". Throws Error for another name.
const Architecture& architecture(const std::string& name);

/// E(z) = -f(z), Table S1: Linear - LReLU(0.2) - Linear - LReLU(0.2) - Linear. z [N, nz] -> [N, 1].
class EnergyNet final : public Module {
 public:
  /// GAN inversion has three hidden layers.
  EnergyNet(std::int64_t nz, std::int64_t ndf, Init& init, std::int64_t hidden_layers = 2);
  Variable forward(const Variable& z) const { return ebm_.forward(z); }
  /// Makes it 0 everywhere, until it learns.
  void begin_at_zero();
  /// dE/dz of every row, [N, nz]: what a chain needs, by the fewest products and without the energy itself.
  Tensor grad_z(const Tensor& z) const;
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    ebm_.visit(prefix + "ebm.", visitor);
  }

 private:
  MatmulPrecision precision_;
  Sequential ebm_;
};

/// G(z), Table S2: transposed convolutions with LReLU(0.2) between and Tanh last. z [N, nz] -> [N, H, W, C].
class GeneratorNet final : public Layer {
 public:
  GeneratorNet(const Architecture& images, std::int64_t nz, std::int64_t ngf, Init& init,
               Precision precision = Precision::fp32);
  Variable forward(const Variable& z) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    gen_.visit(prefix + "gen.", visitor);
  }

 private:
  Precision precision_;
  Sequential gen_;
};

/// Table S4: convolutions with InstanceNorm and LReLU(0.2) between. x [N, H, W, C] -> [N, nemb].
class EncoderNet final : public Layer {
 public:
  EncoderNet(const Architecture& images, std::int64_t nif, std::int64_t nemb, Init& init,
             Precision precision = Precision::fp32);
  Variable forward(const Variable& x) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    net_.visit(prefix + "net.", visitor);
  }

 private:
  Precision precision_;
  Sequential net_;
};

}  // namespace damc
