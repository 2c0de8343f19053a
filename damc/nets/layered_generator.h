/// A generator of five latent layers (Nijkamp et al., 2020, "Learning multi-layer latent variable model via variational
/// optimization of short run MCMC"), as a function of one vector: the topmost layer's z and the noise of the others, all
/// N(0, I), so that chains move them together.
#pragma once

#include <array>

#include "damc/nets/networks.h"

namespace damc {

class LayeredGenerator final : public Layer {
 public:
  static constexpr std::array<std::int64_t, 5> kSizes{64, 64, 64, 96, 128};
  static constexpr std::int64_t kLatents = 416;  ///< their sum

  /// `width` channels in every layer, at half of the images' size or what further halves lead to 16 pixels or less.
  LayeredGenerator(const Architecture& images, std::int64_t width, Init& init);
  /// z [N, 416] -> [N, H, W, C] in [-1, 1]. For layer i with the latent z_i:
  ///   h_i = Det_i(Proj_i(z_i)) + h_{i-1},   z_{i+1} = m_i(h_i) + exp(v_i(h_i)/2) eps_{i+1}
  Variable forward(const Variable& z) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

 private:
  struct Stage {
    Sequential project;             // Proj: a latent to an image
    Sequential block;               // Det, what it adds to its input
    Sequential mean, log_variance;  // m, v up to its clamp; of the last stage empty
  };

  std::vector<std::unique_ptr<Stage>> stages_;
  Sequential last_block_, image_;
};

}  // namespace damc
