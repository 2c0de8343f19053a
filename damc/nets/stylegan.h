/// The generator of StyleGAN (Karras et al., 2019) in the layout of the in-domain GAN inversion release (Zhu et al., 2020:
/// styleganinv_ffhq256_generator.pth), of any size: that of its file. Every layer has a style of its own, so that the
/// latent vector is W+, [layers, latent], 14 x 512 = 7168 numbers for images of 256x256.
///
/// The weights are frozen: gradients go to W+ alone, and of each layer only the image before its normalisation is kept for
/// them (64 MB for an image of 256x256 in f32).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/layers.h"
#include "tensor/random.h"

namespace damc {

/// The sizes of a generator.
struct StyleGanSizes {
  std::int64_t latent;                 ///< of the style of one layer
  std::int64_t mapping;                ///< layers of the mapping network
  std::vector<std::int64_t> channels;  ///< of the layers; two for each size of image, from 4x4 on
  std::vector<bool> fused;  ///< whether a layer's filter is stored for a fused upsampling convolution

  std::int64_t layers() const { return static_cast<std::int64_t>(channels.size()); }
  std::int64_t latents() const { return layers() * latent; }
  /// Height and width of a layer's images.
  static std::int64_t size(std::int64_t layer) { return std::int64_t{4} << (layer / 2); }
};

class StyleGan final : public Layer {
 public:
  /// Told the name of every layer and its output [N, H, W, C].
  using Observer = std::function<void(const std::string& layer, const Tensor& out)>;

  /// From the release's state dict. Left out: blur.kernel and truncation.truncation, which are built in (the kernel is
  /// compared), and the image outputs of lower resolutions. Scales of weights are multiplied in, in f64. Throws UserError
  /// naming a tensor that is missing, of another shape, or of another network, and unless synthesis.lod is 0.
  explicit StyleGan(const StateDict& weights, Device device = {}, Dtype dtype = Dtype::f32);

  /// The sizes of such a state dict. Throws UserError when they do not fit together.
  static StyleGanSizes sizes_of(const StateDict& weights);
  /// The tensors that it must have, in PyTorch's layout.
  static std::map<std::string, Shape> shapes(const StyleGanSizes& sizes);

  const StyleGanSizes& sizes() const { return sizes_; }
  /// Height and width of images.
  std::int64_t size() const { return StyleGanSizes::size(sizes_.layers() - 1); }

  /// W+ [N, layers * latent] -> images [N, size, size, 3] in [-1, 1].
  Variable forward(const Variable& w_plus) const override { return synthesize(w_plus, {}); }
  Variable synthesize(const Variable& w_plus, const Observer& observer) const;
  /// W+ [N, layers * latent] of z [N, latent], drawn from N(0, I).
  Tensor map(const Tensor& z, const Observer& observer = {}) const;
  /// W+ drawn toward its mean: w_avg + 0.7 (w - w_avg) in the first eight layers, w in the others.
  Tensor truncated(const Tensor& w_plus) const;
  /// n random W+, truncated, as random images are made.
  Tensor random_latents(std::int64_t n, Generator& random) const;

 private:
  struct StyleLayer {
    Tensor filter;      // [Cout, 3, 3, Cin], scaled; of layer 0 the constant image [1, 4, 4, C]
    Tensor level;       // noise * weight + bias, [1, H, W, C]
    Tensor style;       // [2C, latent], scaled
    Tensor style_bias;  // [2C], 1 added in the first half: y = x (s0 + 1) + s1
  };

  Variable apply(std::int64_t layer, const Variable& x, const Variable& w) const;

  StyleGanSizes sizes_;
  std::vector<Tensor> mapping_, mapping_bias_;
  Tensor w_avg_;  // [latent]
  std::vector<StyleLayer> layers_;
  Tensor to_rgb_, rgb_bias_;
};

}  // namespace damc
