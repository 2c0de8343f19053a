#include "damc/nets/stylegan.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "damc/nets/pretrained.h"
#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

constexpr double kSlope = 0.2;  // of every leaky ReLU
constexpr double kNormEps = 1e-8;
constexpr double kMappingRate = 0.01;  // multiplies weights and biases of the mapping network
constexpr std::int64_t kTruncatedLayers = 8;
const double kTruncation = static_cast<double>(0.7f);  // a float in the release

std::string layer_key(std::int64_t layer) { return fmt::format("synthesis.layer{}.", layer); }
std::string epilogue_key(std::int64_t layer) { return layer_key(layer) + "epilogue."; }
std::string output_key(const StyleGanSizes& sizes) {
  return fmt::format("synthesis.output{}.", sizes.layers() / 2 - 1);
}

/// Where a layer's filter, or constant, is.
std::string filter_key(const StyleGanSizes& sizes, std::int64_t layer) {
  if (layer == 0) return layer_key(0) + "const";
  return layer_key(layer) + (sizes.fused[static_cast<std::size_t>(layer)] ? "weight" : "conv.weight");
}

std::int64_t in_channels(const StyleGanSizes& sizes, std::int64_t layer) {
  return sizes.channels[static_cast<std::size_t>(layer - 1)];
}

Pretrained expectation(std::map<std::string, Shape> shapes = {}) {
  return {
      "StyleGAN's generator",
      "styleganinv_ffhq256_generator.pth of idinvert_pytorch is one; other releases name tensors otherwise",
      std::move(shapes), [](const std::string& key) {
        return key.ends_with("blur.kernel") || key == "truncation.truncation" || key == "synthesis.lod" ||
               key.starts_with("synthesis.output");
      }};
}

/// Throws UserError where what is built in here is something else there.
void check_constants(const StateDict& weights) {
  const auto is_blur = [](const Tensor& value) {
    if (value.dtype() == Dtype::i64) return false;
    const std::vector<double> kernel = value.to_vector<double>();
    constexpr double taps[] = {1.0, 2.0, 1.0};
    for (std::size_t i = 0; i < kernel.size(); ++i) {
      if (!(std::abs(kernel[i] - taps[i / 3 % 3] * taps[i % 3] / 16.0) < 1e-6)) return false;
    }
    return true;
  };
  for (const auto& [key, value] : weights) {
    if (!value.defined()) continue;
    if (key == "synthesis.lod" && (value.numel() != 1 || value.item() != 0.0))
      user_error("synthesis.lod of the generator is not 0: it was saved while its images still grew");
    if (key.ends_with("blur.kernel") && !is_blur(value))
      user_error(fmt::format("'{}' of the generator is not [1 2 1] x [1 2 1] / 16", key));
  }
}

/// [1 2 1] x [1 2 1] / 16 with zeros outside: the means of two pixels, twice in each direction.
Variable blur(const Variable& x) {
  return avg_pool2d(avg_pool2d(x, {.kernel = 2, .stride = 1, .padding = 1}), {.kernel = 2, .stride = 1});
}

/// PyTorch's convolution filter [Cout, Cin, 3, 3] that, after upsampling by nearest neighbours, is the fused upsampling
/// convolution of a filter [3, 3, Cin, Cout]: the same turned by 180 degrees.
Tensor unfused(const Tensor& stored) {
  const std::vector<double> from = stored.to_vector<double>();
  const std::size_t taps = 9, pairs = from.size() / taps;
  std::vector<double> turned(from.size());
  for (std::size_t tap = 0; tap < taps; ++tap) {
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(tap * pairs), pairs,
                turned.begin() + static_cast<std::ptrdiff_t>((taps - 1 - tap) * pairs));
  }
  return Tensor::from(turned, stored.shape()).permute({3, 2, 0, 1});
}

/// w2, w1 + w2, w0 + w1, w0 of the three taps along a dimension.
Variable spread(const Variable& filter, int dim) {
  const auto tap = [&](std::int64_t i) { return narrow(filter, dim, i, 1); };
  return cat({tap(2), tap(1) + tap(2), tap(0) + tap(1), tap(0)}, dim);
}

/// The filter [Cin, 4, 4, Cout] of the transposed convolution of stride 2 that is upsampling by nearest neighbours and then
/// the convolution of a filter [Cout, 3, 3, Cin]: 16 products for a pixel where that takes 36. In one dimension that gives
/// y[2i] = w0 x[i - 1] + (w1 + w2) x[i] and y[2i + 1] = (w0 + w1) x[i] + w2 x[i + 1].
Variable upsampling(const Variable& filter) { return permute(spread(spread(filter, 1), 2), {3, 1, 2, 0}); }

}  // namespace

StyleGanSizes StyleGanSizes::small(std::int64_t size, std::int64_t latents, std::int64_t width) {
  ENSURE(size >= 8 && std::has_single_bit(static_cast<std::uint64_t>(size)),
         "StyleGAN of {}x{}: a power of 2 from 8 on", size, size);
  StyleGanSizes sizes{.latent = 0, .mapping = 1, .channels = {}, .fused = {}};
  for (std::int64_t side = size; side >= 4; side /= 2) {
    sizes.channels.insert(sizes.channels.begin(), 2, width * std::min<std::int64_t>(size / side, 4));
  }
  sizes.fused.assign(sizes.channels.size(), false);
  ENSURE(latents % sizes.layers() == 0, "StyleGAN: {} layers with {} latents", sizes.layers(), latents);
  sizes.latent = latents / sizes.layers();
  return sizes;
}

StyleGanSizes StyleGanSizes::release() {
  return {.latent = 512,
          .mapping = 8,
          .channels = {512, 512, 512, 512, 512, 512, 512, 512, 256, 256, 128, 128, 64, 64},
          .fused = {false, false, false, false, false, false, false, false, false, false, true, false, true,
                    false}};
}

StyleGanSizes StyleGan::sizes_of(const StateDict& weights) {
  const Pretrained expected = expectation();
  StyleGanSizes sizes{};
  const std::int64_t layers = count_keys(weights, "synthesis.layer", ".epilogue.bias");
  if (layers < 2 || layers % 2 != 0 || layers > 20) {
    user_error(fmt::format("the weights of {} have {} layers, 'synthesis.layer0.epilogue.bias' and so on",
                           expected.network, layers),
               expected.hint);
  }
  sizes.latent = telling(expected, weights, "synthesis.layer0.epilogue.style_mod.dense.fc.weight", 2).size(1);
  sizes.mapping = count_keys(weights, "mapping.dense", ".fc.weight");
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    sizes.channels.push_back(telling(expected, weights, epilogue_key(layer) + "bias", 1).size(0));
    sizes.fused.push_back(layer > 0 && layer % 2 == 0 && weights.contains(layer_key(layer) + "weight"));
  }
  return sizes;
}

std::map<std::string, Shape> StyleGan::shapes(const StyleGanSizes& sizes) {
  std::map<std::string, Shape> all{{"truncation.w_avg", {sizes.latent}}};
  for (std::int64_t i = 0; i < std::max<std::int64_t>(sizes.mapping, 1); ++i) {
    const std::int64_t out = i + 1 < sizes.mapping ? sizes.latent : sizes.latents();
    all[fmt::format("mapping.dense{}.fc.weight", i)] = {out, sizes.latent};
    all[fmt::format("mapping.dense{}.wscale.bias", i)] = {out};
  }
  for (std::int64_t i = 0; i < sizes.layers(); ++i) {
    const std::int64_t c = sizes.channels[static_cast<std::size_t>(i)], size = StyleGanSizes::size(i);
    const std::int64_t in = i > 0 ? in_channels(sizes, i) : 0;
    const bool fused = sizes.fused[static_cast<std::size_t>(i)];
    all[filter_key(sizes, i)] = i == 0 ? Shape{1, c, 4, 4} : fused ? Shape{3, 3, in, c} : Shape{c, in, 3, 3};
    const std::string epilogue = epilogue_key(i);
    all[epilogue + "apply_noise.noise"] = {1, 1, size, size};
    all[epilogue + "apply_noise.weight"] = {c};
    all[epilogue + "bias"] = {c};
    all[epilogue + "style_mod.dense.fc.weight"] = {2 * c, sizes.latent};
    all[epilogue + "style_mod.dense.wscale.bias"] = {2 * c};
  }
  all[output_key(sizes) + "conv.weight"] = {3, sizes.channels.back(), 1, 1};
  all[output_key(sizes) + "bias"] = {3};
  return all;
}

StateDict StyleGan::initial(const StyleGanSizes& sizes, Generator& random) {
  StateDict weights;
  for (const auto& [key, shape] : shapes(sizes)) {
    const bool is_filter = key.ends_with("weight") && !key.ends_with("apply_noise.weight");
    if (is_filter || key.ends_with("const") || key.ends_with("apply_noise.noise")) {
      weights[key] = mul(random.normal(shape), key.starts_with("mapping.") ? 1.0 / kMappingRate : 1.0);
    } else {
      weights[key] = Tensor::zeros(shape);
    }
  }
  return weights;
}

std::unique_ptr<StyleGan> StyleGan::learning(const StateDict& weights, Device device, Dtype dtype) {
  return std::unique_ptr<StyleGan>(new StyleGan(weights, device, dtype, true));
}

StyleGan::StyleGan(const StateDict& weights, Device device, Dtype dtype, bool learns)
    : sizes_(sizes_of(weights)) {
  const Pretrained expected = expectation(shapes(sizes_));
  check_pretrained(expected, weights);
  check_constants(weights);
  Parameters of;  // on the CPU in f64, so that scales of frozen ones are multiplied in without rounding
  for (const auto& [key, shape] : expected.shapes) of[key] = weights.at(key).to(Device{}).to(Dtype::f64);
  for (std::int64_t i = 0; i < sizes_.layers(); ++i) {
    Variable& filter = of[filter_key(sizes_, i)];
    if (!sizes_.fused[static_cast<std::size_t>(i)]) continue;
    ENSURE(!learns, "StyleGAN: layer {} has a fused filter, which does not learn", i);
    filter = unfused(filter.value());
  }
  for (auto& [key, value] : of) value = from_torch_layout(value.value()).contiguous();
  make_mapping(of, device, dtype);
  const auto ready = [&](const Variable& t) { return t.value().to(dtype).to(device); };
  if (learns) {
    for (const auto& [key, value] : of) {
      const bool is_buffer =
          key.starts_with("mapping.") || key.starts_with("truncation.") || key.ends_with("noise.noise");
      parameters_[key] = Variable(ready(value), !is_buffer);
    }
    w_avg_ = parameters_.at("truncation.w_avg").value();
    return;
  }
  for (std::int64_t i = 0; i < sizes_.layers(); ++i) {
    const StyleLayer layer = make_layer(i, of);
    layers_.push_back({ready(layer.filter), ready(layer.level), ready(layer.style), ready(layer.style_bias)});
  }
  to_rgb_ = ready(to_rgb(of));
  rgb_bias_ = ready(of.at(output_key(sizes_) + "bias"));
}

void StyleGan::make_mapping(const Parameters& of, Device device, Dtype dtype) {
  const auto ready = [&](const Tensor& t) { return t.to(dtype).to(device); };
  const double gain = std::sqrt(2.0 / static_cast<double>(sizes_.latent)) * kMappingRate;
  for (std::int64_t i = 0; i < sizes_.mapping; ++i) {
    const std::string key = fmt::format("mapping.dense{}.", i);
    mapping_.push_back(ready(mul(of.at(key + "fc.weight").value(), gain)));
    mapping_bias_.push_back(ready(mul(of.at(key + "wscale.bias").value(), kMappingRate)));
  }
  w_avg_ = ready(of.at("truncation.w_avg").value());
}

StyleGan::StyleLayer StyleGan::make_layer(std::int64_t i, const Parameters& of) const {
  const std::int64_t c = sizes_.channels[static_cast<std::size_t>(i)];
  const std::string epilogue = epilogue_key(i);
  const Variable& stored = of.at(filter_key(sizes_, i));
  const Variable& bias = of.at(epilogue + "style_mod.dense.wscale.bias");
  const Tensor one = Tensor::full({c}, 1.0, bias.dtype(), bias.value().device());
  const Tensor none = Tensor::zeros({c}, bias.dtype(), bias.value().device());
  const double gain = i > 0 ? std::sqrt(2.0 / (9.0 * static_cast<double>(in_channels(sizes_, i)))) : 1.0;
  const bool doubles = i > 0 && i % 2 == 0;
  return {
      doubles ? upsampling(stored * gain) : stored * gain,
      of.at(epilogue + "apply_noise.noise") * of.at(epilogue + "apply_noise.weight") +
          of.at(epilogue + "bias"),
      of.at(epilogue + "style_mod.dense.fc.weight") * (1.0 / std::sqrt(static_cast<double>(sizes_.latent))),
      bias + cat(std::vector<Tensor>{one, none}, 0)};
}

Variable StyleGan::to_rgb(const Parameters& of) const {
  return of.at(output_key(sizes_) + "conv.weight") *
         (1.0 / std::sqrt(static_cast<double>(sizes_.channels.back())));
}

Variable StyleGan::apply(std::int64_t i, const StyleLayer& layer, const Variable& before,
                         const Variable& w) const {
  const std::int64_t n = w.size(0), c = sizes_.channels[static_cast<std::size_t>(i)];
  Variable x = before;
  if (i == 0) {
    x = expand(layer.filter, {n, 4, 4, c});
  } else if (i % 2 == 0) {
    x = blur(conv_transpose2d(x, layer.filter, {}, {.stride = 2, .padding = 1}, {{}, precision}));
  } else {
    x = conv2d(x, layer.filter, {}, {1, 1}, {{}, precision});
  }
  x = leaky_relu(x + layer.level, kSlope);
  const Variable style = linear(w, layer.style, layer.style_bias);
  return adaptive_instance_norm(x, narrow(style, 1, 0, c), narrow(style, 1, c, c), kNormEps);
}

Variable StyleGan::synthesize(const Variable& w_plus, const Observer& observer) const {
  ENSURE(w_plus.ndim() == 2 && w_plus.size(1) == sizes_.latents(), "StyleGAN: W+ is {}, expected [N, {}]",
         w_plus.shape().str(), sizes_.latents());
  const bool learns = !parameters_.empty();
  Variable x;
  for (std::int64_t i = 0; i < sizes_.layers(); ++i) {
    const StyleLayer layer = learns ? make_layer(i, parameters_) : layers_[static_cast<std::size_t>(i)];
    x = apply(i, layer, x, narrow(w_plus, 1, i * sizes_.latent, sizes_.latent));
    if (observer) observer(fmt::format("layer{}", i), x.value());
  }
  return conv2d(x, learns ? to_rgb(parameters_) : to_rgb_,
                learns ? parameters_.at(output_key(sizes_) + "bias") : rgb_bias_, {},
                {{UnaryOp::tanh}, precision});
}

void StyleGan::follow_mean(const Tensor& w_plus, double share) {
  const Tensor now = mean(w_plus.reshape({-1, sizes_.latent}), 0);
  w_avg_.copy_from(add(mul(w_avg_, 1.0 - share), mul(now, share)));
}

void StyleGan::visit(const std::string& prefix, const Visitor& visitor) const {
  for (const auto& [name, parameter] : parameters_) visitor(prefix + name, parameter);
}

Tensor StyleGan::map(const Tensor& z, const Observer& observer) const {
  Tensor x = z / sqrt(mean(square(z), 1, true) + kNormEps);
  for (std::size_t i = 0; i < mapping_.size(); ++i) {
    x = linear(x, mapping_[i], mapping_bias_[i], {.activation = {UnaryOp::leaky_relu, kSlope}});
    if (observer) observer(fmt::format("dense{}", i), x);
  }
  return x;
}

Tensor StyleGan::truncated(const Tensor& w_plus) const {
  std::vector<double> shares(static_cast<std::size_t>(sizes_.layers()), 1.0);
  std::fill_n(shares.begin(), std::min(kTruncatedLayers, sizes_.layers()), kTruncation);
  const Tensor share = Tensor::from(shares, {sizes_.layers(), 1}).to(w_plus.dtype()).to(w_plus.device());
  const Tensor w = w_plus.reshape({w_plus.size(0), sizes_.layers(), sizes_.latent});
  return (w_avg_ + (w - w_avg_) * share).reshape(w_plus.shape());
}

Tensor StyleGan::random_latents(std::int64_t n, Generator& random) const {
  return truncated(map(random.normal({n, sizes_.latent}, w_avg_.dtype())));
}

}  // namespace damc
