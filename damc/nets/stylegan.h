/// The generator of StyleGAN (Karras et al., 2019) in the layout of the in-domain GAN inversion release (Zhu et al., 2020:
/// styleganinv_ffhq256_generator.pth), of any size: that of its file. Every layer has a style of its own, so that the
/// latent vector is W+, [layers, latent], 14 x 512 = 7168 numbers for images of 256x256.
///
/// The weights are frozen unless it shall learn: gradients go to W+ alone, and of each layer only the image before its
/// normalisation is kept for them (64 MB for an image of 256x256 in f32).
#pragma once

#include <functional>
#include <map>
#include <memory>
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
  /// Of a small one for images of size x size: `width` channels in its last two layers, twice and then four times as many
  /// in those before, W+ of `latents` numbers, one mapping layer. Throws Error for a size that is no power of 2 from 8 on,
  /// and latents that the layers do not divide.
  static StyleGanSizes small(std::int64_t size, std::int64_t latents, std::int64_t width);
  /// Of the release's generators, of faces and of towers: images of 256x256, W+ of 14 x 512.
  static StyleGanSizes release();
};

class StyleGan final : public Layer {
 public:
  /// Told the name of every layer and its output [N, H, W, C].
  using Observer = std::function<void(const std::string& layer, const Tensor& out)>;

  /// From the release's state dict. Left out: blur.kernel and truncation.truncation, which are built in (the kernel is
  /// compared), and the image outputs of lower resolutions. Scales of weights are multiplied in, in f64. Throws UserError
  /// naming a tensor that is missing, of another shape, or of another network, and unless synthesis.lod is 0.
  explicit StyleGan(const StateDict& weights, Device device = {}, Dtype dtype = Dtype::f32)
      : StyleGan(weights, device, dtype, false) {}
  /// The same as one that learns: its parameters are the release's tensors, scaled when they are used, as it was trained.
  /// The mapping network, its mean and the noise's images are buffers. Throws Error for fused filters.
  static std::unique_ptr<StyleGan> learning(const StateDict& weights, Device device = {},
                                            Dtype dtype = Dtype::f32);

  /// The sizes of such a state dict. Throws UserError when they do not fit together.
  static StyleGanSizes sizes_of(const StateDict& weights);
  /// The tensors that it must have, in PyTorch's layout.
  static std::map<std::string, Shape> shapes(const StyleGanSizes& sizes);
  /// New weights as StyleGAN's training begins with: N(0, 1), of the mapping network N(0, 100^2); biases and noise of 0.
  /// Differs: the constant image, there of ones, is N(0, 1) as in StyleGAN2; without noise the first normalisation would
  /// divide by nothing.
  static StateDict initial(const StyleGanSizes& sizes, Generator& random);

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
  /// Moves the mean of W+ by `share` toward that of w_plus [N, layers * latent], of one that learns.
  void follow_mean(const Tensor& w_plus, double share);
  /// Of one that learns; a frozen one has no parameters.
  void visit(const std::string& prefix, const Visitor& visitor) const override;

  MatmulPrecision precision = MatmulPrecision::f32;  ///< of its convolutions

 private:
  struct StyleLayer {
    Variable filter;  // [Cout, 3, 3, Cin], scaled; where the image doubles [Cin, 4, 4, Cout]; of layer 0 the
                      // constant image [1, 4, 4, C]
    Variable level;   // noise * weight + bias, [1, H, W, C]
    Variable style;   // [2C, latent], scaled
    Variable style_bias;  // [2C], 1 added in the first half: y = x (s0 + 1) + s1
  };
  using Parameters = std::map<std::string, Variable>;

  StyleGan(const StateDict& weights, Device device, Dtype dtype, bool learns);
  void make_mapping(const Parameters& of, Device device, Dtype dtype);
  StyleLayer make_layer(std::int64_t i, const Parameters& of) const;
  Variable to_rgb(const Parameters& of) const;
  Variable apply(std::int64_t layer, const StyleLayer& parts, const Variable& x, const Variable& w) const;

  StyleGanSizes sizes_;
  std::vector<Tensor> mapping_, mapping_bias_;
  Tensor w_avg_;                    // [latent]
  Parameters parameters_;           // of one that learns, by the release's names, filters channels-last
  std::vector<StyleLayer> layers_;  // of a frozen one
  Variable to_rgb_, rgb_bias_;      // of a frozen one
};

}  // namespace damc
