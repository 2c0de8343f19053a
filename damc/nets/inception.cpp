#include "damc/nets/inception.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "damc/nets/pretrained.h"
#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

using Convolution = Inception::Convolution;

/// One step of a branch. A convolution is followed by its batch norm and a ReLU; a fork concatenates what each of its
/// convolutions makes of the same input.
struct Step {
  enum class Kind : std::uint8_t { convolution, max_pool, average_pool, fork };

  Kind kind;
  std::string name;  ///< of a convolution within its block
  std::int64_t in, out;
  Pair kernel;
  ConvOptions options;
  std::vector<Step> forked;
};

using Branch = std::vector<Step>;

/// Branches of the same input, concatenated.
struct Block {
  std::string name;
  std::vector<Branch> branches;
};

Step conv(const std::string& name, std::int64_t in, std::int64_t out, Pair kernel = 1, Pair padding = 0,
          std::int64_t stride = 1) {
  return {Step::Kind::convolution, name, in, out, kernel, {stride, padding}, {}};
}
Step conv_1x7(const std::string& name, std::int64_t in, std::int64_t out) {
  return conv(name, in, out, {1, 7}, {0, 3});
}
Step conv_7x1(const std::string& name, std::int64_t in, std::int64_t out) {
  return conv(name, in, out, {7, 1}, {3, 0});
}
/// Names end in "a" and "b".
Step fork(const std::string& name, std::int64_t in, std::int64_t out) {
  return {Step::Kind::fork,
          "",
          in,
          2 * out,
          1,
          {},
          {conv(name + "a", in, out, {1, 3}, {0, 1}), conv(name + "b", in, out, {3, 1}, {1, 0})}};
}
Step max_pool(std::int64_t stride, std::int64_t padding) {
  return {Step::Kind::max_pool, "", 0, 0, 3, {stride, padding}, {}};
}
Step average_pool() { return {Step::Kind::average_pool, "", 0, 0, 3, {1, 1}, {}}; }

/// 35x35 pixels.
Block mixed_5(const std::string& name, std::int64_t in, std::int64_t pooled) {
  const std::string b = name + ".branch";
  return {
      name,
      {{conv(b + "1x1", in, 64)},
       {conv(b + "5x5_1", in, 48), conv(b + "5x5_2", 48, 64, 5, 2)},
       {conv(b + "3x3dbl_1", in, 64), conv(b + "3x3dbl_2", 64, 96, 3, 1), conv(b + "3x3dbl_3", 96, 96, 3, 1)},
       {average_pool(), conv(b + "_pool", in, pooled)}}};
}

/// From 35x35 to 17x17 pixels.
Block mixed_6a() {
  const std::string name = "Mixed_6a", b = name + ".branch";
  return {name,
          {{conv(b + "3x3", 288, 384, 3, 0, 2)},
           {conv(b + "3x3dbl_1", 288, 64), conv(b + "3x3dbl_2", 64, 96, 3, 1),
            conv(b + "3x3dbl_3", 96, 96, 3, 0, 2)},
           {max_pool(2, 0)}}};
}

/// 17x17 pixels; c channels within the branches of seven.
Block mixed_6(const std::string& name, std::int64_t c) {
  const std::string b = name + ".branch";
  return {name,
          {{conv(b + "1x1", 768, 192)},
           {conv(b + "7x7_1", 768, c), conv_1x7(b + "7x7_2", c, c), conv_7x1(b + "7x7_3", c, 192)},
           {conv(b + "7x7dbl_1", 768, c), conv_7x1(b + "7x7dbl_2", c, c), conv_1x7(b + "7x7dbl_3", c, c),
            conv_7x1(b + "7x7dbl_4", c, c), conv_1x7(b + "7x7dbl_5", c, 192)},
           {average_pool(), conv(b + "_pool", 768, 192)}}};
}

/// From 17x17 to 8x8 pixels.
Block mixed_7a() {
  const std::string name = "Mixed_7a", b = name + ".branch";
  return {name,
          {{conv(b + "3x3_1", 768, 192), conv(b + "3x3_2", 192, 320, 3, 0, 2)},
           {conv(b + "7x7x3_1", 768, 192), conv_1x7(b + "7x7x3_2", 192, 192),
            conv_7x1(b + "7x7x3_3", 192, 192), conv(b + "7x7x3_4", 192, 192, 3, 0, 2)},
           {max_pool(2, 0)}}};
}

/// 8x8 pixels.
Block mixed_7(const std::string& name, std::int64_t in, const Step& pool) {
  const std::string b = name + ".branch";
  return {
      name,
      {{conv(b + "1x1", in, 320)},
       {conv(b + "3x3_1", in, 384), fork(b + "3x3_2", 384, 384)},
       {conv(b + "3x3dbl_1", in, 448), conv(b + "3x3dbl_2", 448, 384, 3, 1), fork(b + "3x3dbl_3", 384, 384)},
       {pool, conv(b + "_pool", in, 192)}}};
}

const std::vector<Block>& blocks() {
  const auto single = [](const Step& step) { return Block{step.name, {{step}}}; };
  static const std::vector<Block> all{
      single(conv("Conv2d_1a_3x3", 3, 32, 3, 0, 2)),
      single(conv("Conv2d_2a_3x3", 32, 32, 3)),
      single(conv("Conv2d_2b_3x3", 32, 64, 3, 1)),
      {"maxpool1", {{max_pool(2, 0)}}},
      single(conv("Conv2d_3b_1x1", 64, 80)),
      single(conv("Conv2d_4a_3x3", 80, 192, 3)),
      {"maxpool2", {{max_pool(2, 0)}}},
      mixed_5("Mixed_5b", 192, 32),
      mixed_5("Mixed_5c", 256, 64),
      mixed_5("Mixed_5d", 288, 64),
      mixed_6a(),
      mixed_6("Mixed_6b", 128),
      mixed_6("Mixed_6c", 160),
      mixed_6("Mixed_6d", 160),
      mixed_6("Mixed_6e", 192),
      mixed_7a(),
      mixed_7("Mixed_7b", 1280, average_pool()),
      mixed_7("Mixed_7c", 2048, max_pool(1, 1)),
  };
  return all;
}

/// Every convolution of some steps, those of forks among them.
void collect(const std::vector<Step>& steps, std::vector<Step>& found) {
  for (const Step& step : steps) {
    if (step.kind == Step::Kind::convolution) found.push_back(step);
    collect(step.forked, found);
  }
}

std::vector<Step> convolution_steps() {
  std::vector<Step> found;
  for (const Block& block : blocks()) {
    for (const Branch& branch : block.branches) collect(branch, found);
  }
  return found;
}

Pretrained expectation(const StateDict& weights) {
  // The last layer of the original is of 1008 classes; torchvision's network has 1000.
  const auto is_last = [&weights](const std::string& key) {
    const Tensor& value = weights.at(key);
    return key.starts_with("fc.") && value.defined() && value.ndim() > 0 && value.size(0) == 1008;
  };
  return {"Inception-v3 of FID",
          "pt_inception-2015-12-05-6726825d.pth, which pytorch-fid offers, is the network of FID",
          Inception::shapes(), is_last};
}

/// A convolution without bias and the batch norm after it, in f64.
Convolution folded(const StateDict& state, const Step& step) {
  const auto of = [&](const char* leaf) { return state.at(step.name + leaf).to(Device{}).to(Dtype::f64); };
  const Tensor scale = div(of(".bn.weight"), sqrt(add(of(".bn.running_var"), 1e-3)));
  return {mul(from_torch_layout(of(".conv.weight")), scale.reshape({step.out, 1, 1, 1})),
          sub(of(".bn.bias"), mul(of(".bn.running_mean"), scale))};
}

/// [299, size]: row i holds what pixel i of 299 takes of `size` pixels.
Tensor interpolation(std::int64_t size, Dtype dtype) {
  constexpr std::int64_t to = Inception::kSize;
  std::vector<double> weights(static_cast<std::size_t>(to * size));
  for (std::int64_t i = 0; i < to; ++i) {
    const double at = std::max(
        (static_cast<double>(i) + 0.5) * static_cast<double>(size) / static_cast<double>(to) - 0.5, 0.0);
    const auto low = static_cast<std::int64_t>(at);
    const double t = at - static_cast<double>(low);
    const auto weight = [&](std::int64_t pixel) -> double& {
      return weights[static_cast<std::size_t>(i * size + std::min(pixel, size - 1))];
    };
    weight(low) += 1.0 - t;
    weight(low + 1) += t;
  }
  return Tensor::from(weights, {to, size}).to(dtype);
}

class Walk {
 public:
  explicit Walk(const std::map<std::string, Convolution>& convolutions) : convolutions_(convolutions) {}

  Variable operator()(const Block& block, const Variable& x) const {
    std::vector<Variable> parts;
    for (const Branch& branch : block.branches) {
      Variable y = x;
      for (const Step& step : branch) y = apply(step, y);
      parts.push_back(y);
    }
    return parts.size() == 1 ? parts[0] : cat(parts, 3);
  }

 private:
  Variable apply(const Step& step, const Variable& x) const {
    const PoolOptions window{3, step.options.stride, step.options.padding, false};
    switch (step.kind) {
      case Step::Kind::max_pool:
        return max_pool2d(x, window);
      case Step::Kind::average_pool:
        return avg_pool2d(x, window);
      case Step::Kind::fork:
        return cat({apply(step.forked[0], x), apply(step.forked[1], x)}, 3);
      case Step::Kind::convolution:
        break;
    }
    const Convolution& c = convolutions_.at(step.name);
    return conv2d(x, c.filter, c.bias, step.options, {.activation = {UnaryOp::leaky_relu, 0.0}});
  }

  const std::map<std::string, Convolution>& convolutions_;
};

}  // namespace

Inception::Inception(const StateDict& weights, Device device, Dtype dtype) : device_(device), dtype_(dtype) {
  check_pretrained(expectation(weights), weights);
  const auto ready = [&](const Tensor& t) { return t.to(dtype).to(device); };
  for (const Step& step : convolution_steps()) {
    const Convolution c = folded(weights, step);
    convolutions_[step.name] = {ready(c.filter), ready(c.bias)};
  }
}

std::map<std::string, Shape> Inception::shapes() {
  std::map<std::string, Shape> all;
  for (const Step& step : convolution_steps()) {
    all[step.name + ".conv.weight"] = {step.out, step.in, step.kernel.h, step.kernel.w};
    for (const char* leaf : {"weight", "bias", "running_mean", "running_var"}) {
      all[step.name + ".bn." + leaf] = {step.out};
    }
  }
  return all;
}

Tensor Inception::resized(const Tensor& images) const {
  ENSURE(images.ndim() == 4 && (images.size(3) == 1 || images.size(3) == 3),
         "Inception: images are {}, expected [N, H, W, 1 or 3]", images.shape().str());
  const std::int64_t n = images.size(0), h = images.size(1), w = images.size(2), c = images.size(3);
  const Tensor x = clamp(images.to(device_).to(dtype_), -1.0, 1.0);
  const Tensor down = interpolation(h, dtype_).to(device_), across = interpolation(w, dtype_).to(device_);
  const Tensor rows = matmul(down.reshape({1, kSize, h}).expand({n, kSize, h}), x.reshape({n, h, w * c}));
  const Tensor all =
      matmul(across.reshape({1, kSize, w}).expand({n * kSize, kSize, w}), rows.reshape({n * kSize, w, c}));
  return all.reshape({n, kSize, kSize, c}).expand({n, kSize, kSize, 3}).contiguous();
}

Variable Inception::features(const Variable& resized, const Observer& observer) const {
  const Walk walk(convolutions_);
  Variable x = resized;
  for (const Block& block : blocks()) {
    x = walk(block, x);
    if (observer) observer(block.name, x.value());
  }
  const std::int64_t pixels = x.size(1) * x.size(2);
  return mul(sum(reshape(x, {x.size(0), pixels, kFeatures}), 1), 1.0 / static_cast<double>(pixels));
}

Tensor Inception::operator()(const Tensor& images) const {
  constexpr std::int64_t at_once = 32;  // half a gigabyte on the way
  std::vector<Tensor> parts;
  for (std::int64_t first = 0; first < images.size(0); first += at_once) {
    const Tensor some = images.narrow(0, first, std::min(at_once, images.size(0) - first));
    parts.push_back(features(resized(some)).value());
  }
  return cat(parts, 0);
}

}  // namespace damc
