#include "damc/nets/in_domain_encoder.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "damc/nets/pretrained.h"
#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

constexpr Unary kActivation{UnaryOp::leaky_relu, 0.2};
constexpr double kNormEps = 1e-5;
constexpr std::size_t kMostBlocks = 10;    // whose images' sizes are halves of the one before
constexpr double kLastGain = 1.0 / 128.0;  // of the last block's weights

std::string block_key(std::size_t number) { return fmt::format("block{}.", number); }

Pretrained expectation(std::map<std::string, Shape> shapes = {}) {
  return {"the in-domain encoder", "styleganinv_ffhq256_encoder.pth of idinvert_pytorch is one",
          std::move(shapes), [](const std::string&) { return false; }};
}

void add_norm(std::map<std::string, Shape>& all, const std::string& name, std::int64_t channels) {
  for (const char* leaf : {"weight", "bias", "running_mean", "running_var"})
    all[name + ".bn." + leaf] = {channels};
}

}  // namespace

EncoderSizes EncoderSizes::small(std::int64_t size, std::int64_t latents, std::int64_t width) {
  ENSURE(size >= 8 && std::has_single_bit(static_cast<std::uint64_t>(size)),
         "in-domain encoder of {}x{}: a power of 2 from 8 on", size, size);
  EncoderSizes sizes{{}, 4, latents};
  for (std::int64_t side = size; side >= 4; side /= 2)
    sizes.channels.push_back(width * std::min<std::int64_t>(size / side, 4));
  return sizes;
}

EncoderSizes InDomainEncoder::sizes_of(const StateDict& weights) {
  const Pretrained expected = expectation();
  EncoderSizes sizes{{telling(expected, weights, "block0.conv.weight", 4).size(0)}, 1, 0};
  for (std::size_t i = 1; i <= kMostBlocks && weights.contains(block_key(i) + "conv2.weight"); ++i)
    sizes.channels.push_back(telling(expected, weights, block_key(i) + "conv2.weight", 4).size(0));
  const Tensor last = telling(expected, weights, block_key(sizes.channels.size()) + "fc.weight", 2);
  sizes.latents = last.size(0);
  const std::int64_t pixels = last.size(1) / sizes.channels.back();
  while (sizes.last * sizes.last < pixels && sizes.last < 64) ++sizes.last;
  return sizes;
}

std::map<std::string, Shape> InDomainEncoder::shapes(const EncoderSizes& sizes) {
  std::map<std::string, Shape> all{{"block0.conv.weight", {sizes.channels[0], 3, 3, 3}}};
  add_norm(all, "block0.bn", sizes.channels[0]);
  for (std::size_t i = 1; i < sizes.channels.size(); ++i) {
    const std::int64_t in = sizes.channels[i - 1], out = sizes.channels[i];
    const std::string block = block_key(i);
    all[block + "conv1.weight"] = {in, in, 3, 3};
    all[block + "wscale1.bias"] = {in};
    add_norm(all, block + "bn1", in);
    all[block + "conv2.weight"] = {out, in, 3, 3};
    all[block + "wscale2.bias"] = {out};
    add_norm(all, block + "bn2", out);
    if (in == out) continue;
    all[block + "conv.weight"] = {out, in, 1, 1};
    add_norm(all, block + "bn", out);
  }
  const std::string last = block_key(sizes.channels.size());
  all[last + "fc.weight"] = {sizes.latents, sizes.channels.back() * sizes.last * sizes.last};
  add_norm(all, last + "bn", sizes.latents);
  return all;
}

StateDict InDomainEncoder::initial(const EncoderSizes& sizes, Generator& random) {
  StateDict weights;
  for (const auto& [key, shape] : shapes(sizes)) {
    const bool is_norm = key.find(".bn") != std::string::npos;
    if (is_norm || key.ends_with("bias")) {
      const bool is_one = key.ends_with(".weight") || key.ends_with("running_var");
      weights[key] = Tensor::full(shape, is_one ? 1.0 : 0.0);
    } else {
      const double fan_in = static_cast<double>(shape.numel()) / static_cast<double>(shape[0]);
      weights[key] = mul(random.normal(shape), std::sqrt(2.0 / fan_in));
    }
  }
  weights[block_key(sizes.channels.size()) + "bn.bn.running_var"].fill(kLastGain * kLastGain);
  return weights;
}

std::unique_ptr<InDomainEncoder> InDomainEncoder::learning(const StateDict& weights, Device device,
                                                           Dtype dtype) {
  return std::unique_ptr<InDomainEncoder>(new InDomainEncoder(weights, device, dtype, true));
}

InDomainEncoder::InDomainEncoder(const StateDict& weights, Device device, Dtype dtype, bool learns)
    : sizes_(sizes_of(weights)) {
  const Pretrained expected = expectation(shapes(sizes_));
  check_pretrained(expected, weights);
  for (const auto& [key, shape] : expected.shapes) {
    const bool is_buffer = key.find(".bn") != std::string::npos && !key.ends_with(".bias");
    parameters_[key] =
        Variable(from_torch_layout(weights.at(key)).contiguous().to(dtype).to(device), learns && !is_buffer);
  }
}

InDomainEncoder::Affine InDomainEncoder::norm(const std::string& name) const {
  const auto of = [&](const char* leaf) { return parameters_.at(name + ".bn." + leaf); };
  const Variable scale = of("weight") * pow(of("running_var") + kNormEps, -0.5);
  return {scale, of("bias") - of("running_mean") * scale};
}

/// lrelu(norm(conv(x) + bias)), the norm as part of the convolution.
Variable InDomainEncoder::convolution(const Variable& x, const std::string& conv, const std::string& bias,
                                      const std::string& norm_name) const {
  const auto [scale, shift] = norm(norm_name);
  const Variable& filter = parameters_.at(conv);
  const Pair padding = filter.size(1) / 2;
  const Variable term = bias.empty() ? shift : shift + parameters_.at(bias) * scale;
  return conv2d(x, filter * reshape(scale, {filter.size(0), 1, 1, 1}), term, {1, padding},
                {kActivation, precision});
}

Variable InDomainEncoder::block(std::size_t number, const Variable& before) const {
  const std::string key = block_key(number);
  const Variable x = avg_pool2d(before, {.kernel = 2});
  const Variable shortcut =
      parameters_.contains(key + "conv.weight") ? convolution(x, key + "conv.weight", "", key + "bn") : x;
  const Variable y = convolution(x, key + "conv1.weight", key + "wscale1.bias", key + "bn1");
  return convolution(y, key + "conv2.weight", key + "wscale2.bias", key + "bn2") + shortcut;
}

Variable InDomainEncoder::encode(const Variable& images, const Observer& observer) const {
  const std::int64_t size = sizes_.size();
  ENSURE(images.ndim() == 4 && images.size(1) == size && images.size(2) == size && images.size(3) == 3,
         "in-domain encoder: images are {}, expected [N, {}, {}, 3]", images.shape().str(), size, size);
  Variable x = convolution(images, "block0.conv.weight", "", "block0.bn");
  if (observer) observer("block0", x.value());
  for (std::size_t i = 1; i < sizes_.channels.size(); ++i) {
    x = block(i, x);
    if (observer) observer(fmt::format("block{}", i), x.value());
  }
  const std::string last = block_key(sizes_.channels.size());
  const auto [scale, shift] = norm(last + "bn");
  x = reshape(permute(x, {0, 3, 1, 2}), {x.size(0), -1});  // the release flattens channels first
  x = linear(x, parameters_.at(last + "fc.weight"), {}, {{}, precision}) * (scale * kLastGain) + shift;
  if (observer) observer(last.substr(0, last.size() - 1), x.value());
  return x;
}

void InDomainEncoder::visit(const std::string& prefix, const Visitor& visitor) const {
  for (const auto& [name, parameter] : parameters_) visitor(prefix + name, parameter);
}

}  // namespace damc
