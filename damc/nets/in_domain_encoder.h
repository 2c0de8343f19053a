/// The encoder of the in-domain GAN inversion release (Zhu et al., 2020: styleganinv_ffhq256_encoder.pth), of any size:
/// that of its file. It maps images to a generator's W+, which are DAMC's condition in GAN inversion.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/layers.h"
#include "tensor/random.h"

namespace damc {

/// The sizes of an encoder.
struct EncoderSizes {
  std::vector<std::int64_t> channels;  ///< of block 0 and of the residual blocks, each at half the size
  std::int64_t last;                   ///< height and width of the last block's images
  std::int64_t latents;                ///< numbers of a W+

  /// Height and width of its images.
  std::int64_t size() const { return last << (channels.size() - 1); }
  /// Of a small one for images of size x size: `width` channels of block 0, twice and then four times as many of those
  /// after, down to 4x4. Throws Error for a size that is no power of 2 from 8 on.
  static EncoderSizes small(std::int64_t size, std::int64_t latents, std::int64_t width);
  /// Of the release's encoders: images of 256x256, W+ of 14 x 512.
  static EncoderSizes release() {
    return {.channels = {64, 128, 256, 512, 1024, 1024, 1024}, .last = 4, .latents = 7168};
  }
};

/// Batch norms use their running statistics, eps 1e-5, also where it learns. Parameters have the release's names.
class InDomainEncoder final : public Layer {
 public:
  /// Told the name of every block and its output, [N, H, W, C] or [N, latents].
  using Observer = std::function<void(const std::string& block, const Tensor& out)>;

  /// From the release's state dict, frozen. Throws UserError naming a tensor that is missing, of another shape, or of
  /// another network.
  explicit InDomainEncoder(const StateDict& weights, Device device = {}, Dtype dtype = Dtype::f32)
      : InDomainEncoder(weights, device, dtype, false) {}
  /// The same as one that learns: all but statistics and factors of batch norms, which are buffers.
  static std::unique_ptr<InDomainEncoder> learning(const StateDict& weights, Device device = {},
                                                   Dtype dtype = Dtype::f32);

  /// The sizes of such a state dict. Throws UserError when they do not fit together.
  static EncoderSizes sizes_of(const StateDict& weights);
  /// The tensors that it must have, in PyTorch's layout.
  static std::map<std::string, Shape> shapes(const EncoderSizes& sizes);
  /// New weights: filters N(0, 2 / fan in), biases 0, and batch norms that change nothing but the scale of the last
  /// layer, whose numbers come out with variance 1.
  static StateDict initial(const EncoderSizes& sizes, Generator& random);

  const EncoderSizes& sizes() const { return sizes_; }
  /// Images [N, size, size, 3] in [-1, 1] -> W+ [N, latents].
  Variable forward(const Variable& images) const override { return encode(images, {}); }
  Variable encode(const Variable& images, const Observer& observer) const;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

  MatmulPrecision precision = MatmulPrecision::f32;  ///< of its convolutions and its last layer

 private:
  InDomainEncoder(const StateDict& weights, Device device, Dtype dtype, bool learns);

  /// A batch norm as a factor and a term of each channel.
  struct Affine {
    Variable scale, shift;
  };
  Affine norm(const std::string& name) const;
  Variable convolution(const Variable& x, const std::string& conv, const std::string& bias,
                       const std::string& norm) const;
  Variable block(std::size_t number, const Variable& x) const;

  EncoderSizes sizes_;
  std::map<std::string, Variable> parameters_;  // by the release's names, filters channels-last
};

}  // namespace damc
