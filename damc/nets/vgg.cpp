#include "damc/nets/vgg.h"

#include <algorithm>

#include "damc/nets/pretrained.h"
#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

/// Numbers of the convolutions between two poolings.
const std::vector<std::vector<int>>& stages() {
  static const std::vector<std::vector<int>> all{{0, 2}, {5, 7}, {10, 12, 14}, {17, 19, 21}};
  return all;
}

std::string key(int layer, const char* leaf) { return fmt::format("layer{}.{}", layer, leaf); }

Pretrained expectation(std::map<std::string, Shape> shapes = {}) {
  return {"VGG-16", "vgg16.pth of idinvert_pytorch is one; torchvision's is another network",
          std::move(shapes), [](const std::string& name) {
            return name.starts_with("layer24.") || name.starts_with("layer26.") ||
                   name.starts_with("layer28.");
          }};
}

}  // namespace

std::map<std::string, Shape> Vgg::shapes(const std::vector<std::int64_t>& channels) {
  std::map<std::string, Shape> all;
  std::int64_t in = 3;
  for (std::size_t stage = 0; stage < stages().size(); ++stage) {
    for (const int layer : stages()[stage]) {
      all[key(layer, "weight")] = {channels.at(stage), in, 3, 3};
      all[key(layer, "bias")] = {channels.at(stage)};
      in = channels.at(stage);
    }
  }
  return all;
}

Vgg::Vgg(const StateDict& weights, Device device, Dtype dtype) {
  std::vector<std::int64_t> channels;
  for (const auto& stage : stages())
    channels.push_back(telling(expectation(), weights, key(stage.front(), "bias"), 1).size(0));
  check_pretrained(expectation(shapes(channels)), weights);
  const auto ready = [&](const Tensor& t) { return t.contiguous().to(dtype).to(device); };
  for (const auto& stage : stages()) {
    for (const int layer : stage) {
      convolutions_[layer] = {ready(from_torch_layout(weights.at(key(layer, "weight")))),
                              ready(weights.at(key(layer, "bias")))};
    }
  }
  // The first layer takes blue, green, red; its filter is turned around once in the place of every image.
  const Tensor& first = convolutions_[0].filter;
  convolutions_[0].filter =
      cat(std::vector<Tensor>{first.narrow(3, 2, 1), first.narrow(3, 1, 1), first.narrow(3, 0, 1)}, 3);
  const std::vector<float> mean{123.68f, 116.779f, 103.939f};  // red, green, blue
  mean_ = Tensor::from(mean, {3}).to(dtype).to(device);
}

Variable Vgg::features(const Variable& images, const Observer& observer) const {
  ENSURE(images.ndim() == 4 && images.size(3) == 3 && images.size(1) % 8 == 0 && images.size(2) % 8 == 0,
         "VGG-16: images are {}, expected [N, H, W, 3], H and W multiples of 8", images.shape().str());
  Variable x = affine(images, 127.5, 127.5) - mean_;
  for (const auto& stage : stages()) {
    if (stage.front() != 0) x = max_pool2d(x, {.kernel = 2});
    for (const int layer : stage) {
      const Convolution& c = convolutions_.at(layer);
      x = conv2d(x, c.filter, c.bias, {1, 1}, {{UnaryOp::leaky_relu, 0.0}, precision});
      if (observer) observer(fmt::format("layer{}", layer), x.value());
    }
  }
  return x;
}

}  // namespace damc
