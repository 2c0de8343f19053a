/// VGG-16 (Simonyan and Zisserman, 2015) up to relu4_3, the features in which images are compared by the in-domain GAN
/// inversion release (vgg16.pth): Caffe's weights, which take pixels from 0 to 255 as blue, green, red less their means.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "autograd/ops.h"
#include "nn/module.h"

namespace damc {

class Vgg {
 public:
  /// Told the name of every convolution ("layer0"), its ReLU included, and its output [N, H, W, C].
  using Observer = std::function<void(const std::string& layer, const Tensor& out)>;

  /// From a state dict with "layer<n>.weight" and ".bias", of any width; layers 24, 26 and 28 are left out. Frozen. Throws
  /// UserError naming a tensor that is missing, of another shape, or of another network.
  explicit Vgg(const StateDict& weights, Device device = {}, Dtype dtype = Dtype::f32);

  /// The tensors that it must have, in PyTorch's layout, with these channels (64, 128, 256, 512).
  static std::map<std::string, Shape> shapes(const std::vector<std::int64_t>& channels);

  /// Features [N, H/8, W/8, C] of images [N, H, W, 3] in [-1, 1], differentiable with respect to them; H and W are
  /// multiples of 8.
  Variable features(const Variable& images, const Observer& observer = {}) const;

  MatmulPrecision precision = MatmulPrecision::f32;  ///< of its convolutions

 private:
  struct Convolution {
    Tensor filter, bias;
  };
  std::map<int, Convolution> convolutions_;
  Tensor mean_;  // of the pixels, in the images' order
};

}  // namespace damc
