/// The denoising network of Table S3: eps_hat = z + net(z, logsnr, xemb), a U-shaped MLP of seven gated
/// blocks.
///
/// z [N, nz], logsnr [N], xemb [N, nemb]. Parameter names are the authors' (under "Q.p.").
#pragma once

#include <memory>
#include <vector>

#include "nn/layers.h"

namespace damc {

inline constexpr std::int64_t kTimeEmbedding = 128;  ///< width of the time embedding temb
/// Every block but the first takes its input through this, stored or not, so every output but the last is activated at
/// once.
inline constexpr Unary kDenoiserActivation{UnaryOp::leaky_relu, 0.01};

/// How the blocks are joined, in the order they are applied, to a U: three in, one middle, three out.
struct DenoiserWiring {
  const char* name;  ///< of the parameters
  int takes;         ///< the earlier block whose output this one takes beside the running value; -1: none
};
inline constexpr DenoiserWiring kDenoiserWiring[] = {
    {"in_layers.0", -1}, {"in_layers.1", -1}, {"in_layers.2", -1}, {"mid_layers.0", -1},
    {"out_layers.0", 2}, {"out_layers.1", 1}, {"out_layers.2", 0}};
inline constexpr std::size_t kDenoiserBlocks = std::size(kDenoiserWiring);

/// One block: c = SiLU(W_c SiLU([temb; xemb]) + b_c); out = (W x + b) sigmoid(W_g c + b_g) + W_b c + (W_s x +
/// b_s). Differs: the paper's skip from x is the identity; a linear map also fits where widths change.
class DenoiserBlock final : public Module {
 public:
  DenoiserBlock(std::int64_t in, std::int64_t out, std::int64_t context, Init& init);
  /// x [N, in]; context = SiLU([temb; xemb]) [N, context]
  Variable forward(const Variable& x, const Variable& context) const;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

  Linear layer, layer_ctx, hyper_bias, hyper_gate, skip;  ///< W, W_c, W_b, W_g, W_s
};

/// Outputs of the first and the last but one block, and of those between.
struct DenoiserWidths {
  std::int64_t narrow, wide;
  /// 128 and 256 times Table S6's f.
  static DenoiserWidths scaled(double f);
};
inline constexpr DenoiserWidths kInversionWidths{1024, 1024};  ///< of GAN inversion

class Denoiser final : public Module {
 public:
  Denoiser(std::int64_t nz, std::int64_t nemb, const DenoiserWidths& widths, Init& init);
  Denoiser(std::int64_t nz, std::int64_t nemb, double f, Init& init)
      : Denoiser(nz, nemb, DenoiserWidths::scaled(f), init) {}

  /// eps_hat [N, nz]
  Variable forward(const Variable& z, const Tensor& logsnr, const Variable& xemb) const;
  /// temb [N, 128] of logsnr [N]: t = atan(exp(-logsnr/2)) / (pi/2), sinusoidal embedding of 1000 t, two
  /// linear layers.
  Variable time_embedding(const Tensor& logsnr) const;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

  /// As kDenoiserWiring has them.
  const std::vector<std::unique_ptr<DenoiserBlock>>& blocks() const { return blocks_; }
  const Variable& fourier_projection() const { return projection_; }
  /// Of all products.
  MatmulPrecision precision() const { return precision_; }

 private:
  Sequential time_mlp_;
  Variable projection_;  // B of the Fourier features, [nz, nz/2]
  MatmulPrecision precision_;
  Tensor frequencies_;  // of the time embedding
  std::vector<std::unique_ptr<DenoiserBlock>> blocks_;
};

}  // namespace damc
