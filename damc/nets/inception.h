/// Inception-v3 as the original FID uses it (Heusel et al., 2017; the weights that pytorch-fid offers as
/// pt_inception-2015-12-05): features of images by a network that somebody else trained. It differs from torchvision's
/// in its average pools, which count no padding, and in the max pool of its last block.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "autograd/ops.h"
#include "nn/module.h"

namespace damc {

class Inception {
 public:
  static constexpr std::int64_t kFeatures = 2048, kSize = 299;
  /// A convolution and the batch norm after it as one.
  struct Convolution {
    Tensor filter, bias;
  };
  /// Told the name of every block and its output [N, H, W, C].
  using Observer = std::function<void(const std::string& block, const Tensor& out)>;

  /// From pytorch-fid's state dict ("Mixed_5b.branch1x1.conv.weight"; num_batches_tracked and fc are left out). Batch
  /// norms (eps 1e-3, inference) are folded in f64; `dtype` is that of the products, in f32 without rounding of operands.
  /// Throws UserError naming a tensor that is missing, of another shape, or of another network.
  explicit Inception(const StateDict& weights, Device device = {}, Dtype dtype = Dtype::f32);

  /// The tensors that such a state dict must have, in PyTorch's layout.
  static std::map<std::string, Shape> shapes();

  /// Features of images [N, H, W, C] in [-1, 1], C 1 or 3, on any device: the means of the last block's channels,
  /// [N, 2048] on this network's device.
  Tensor operator()(const Tensor& images) const;
  /// Images as the network takes them, [N, 299, 299, 3]: clamped to [-1, 1], grey in all three channels, resized by
  /// bilinear interpolation between the centres of pixels, without antialiasing (mode `fid-float`: not rounded to 8 bits).
  Tensor resized(const Tensor& images) const;
  /// The features of what resized() gives, differentiable with respect to it.
  Variable features(const Variable& resized, const Observer& observer = {}) const;

 private:
  Device device_;
  Dtype dtype_;
  std::map<std::string, Convolution> convolutions_;  // by "Mixed_5b.branch1x1"
};

}  // namespace damc
