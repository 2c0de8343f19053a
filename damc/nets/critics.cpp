#include "damc/nets/critics.h"

#include <fmt/format.h>

#include "tensor/ops.h"

namespace damc {
namespace {

constexpr Unary kLeaky{UnaryOp::leaky_relu, 0.2};

}  // namespace

CriticTrunk::CriticTrunk(const Architecture& images, std::int64_t nif, std::int64_t nemb, Init& init) {
  std::int64_t in = images.channels;
  for (const ConvSpec& layer : images.encoder) {
    const std::int64_t out = layer.width == 0 ? nemb : layer.width * nif;
    options_.push_back({layer.stride, layer.padding});
    layers_.push_back(std::make_unique<Conv2d>(in, out, layer.kernel, options_.back(), init));
    in = out;
  }
}

Variable CriticTrunk::forward(const Variable& x) const {
  Variable h = x;
  for (const auto& layer : layers_) h = layer->forward_with(h, kLeaky);
  return reshape(h, {x.size(0), -1});
}

Variable CriticTrunk::tangent(const Tensor& x, const Tensor& v) const {
  Variable h = x, t = v;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Conv2d& layer = *layers_[i];
    h = layer.forward_with(h.value(), kLeaky);  // its sign is that of its argument
    const Tensor slopes =
        unary_vjp(kLeaky, Tensor::full(h.shape(), 1.0, x.dtype(), x.device()), h.value(), h.value());
    t = conv2d(t, layer.weight, {}, options_[i], {{}, layer.precision}) * slopes;
  }
  return reshape(t, {x.size(0), -1});
}

void CriticTrunk::visit(const std::string& prefix, const Visitor& visitor) const {
  for (std::size_t i = 0; i < layers_.size(); ++i)
    layers_[i]->visit(fmt::format("{}{}.", prefix, 2 * i), visitor);
}

ImageEnergy::ImageEnergy(const Architecture& images, std::int64_t nif, std::int64_t nemb, Init& init)
    : trunk_(images, nif, nemb, init), last_(nemb, 1, init) {}

Variable ImageEnergy::tangent(const Tensor& x, const Tensor& v) const {
  return linear(trunk_.tangent(x, v), last_.weight, {}, {{}, last_.precision});
}

void ImageEnergy::visit(const std::string& prefix, const Visitor& visitor) const {
  trunk_.visit(prefix + "trunk.", visitor);
  last_.visit(prefix + "last.", visitor);
}

ImagePairCritic::ImagePairCritic(const Architecture& images, std::int64_t nif, std::int64_t nz,
                                 const PairCriticOptions& options, Init& init)
    : trunk_(images, nif, options.features, init) {
  if (options.z_features > 0) {
    z_.emplace<Linear>(nz, options.z_features, init);
    z_.push_back(leaky_relu_layer(options.slope));
  }
  joint_.emplace<Linear>(options.features + (options.z_features > 0 ? options.z_features : nz),
                         options.hidden, init);
  joint_.push_back(leaky_relu_layer(options.slope));
  joint_.emplace<Linear>(options.hidden, 1, init);
}

Variable ImagePairCritic::forward(const Variable& x, const Variable& z) const {
  return joint_.forward(cat(std::vector<Variable>{trunk_.forward(x), z_.forward(z)}, 1));
}

void ImagePairCritic::visit(const std::string& prefix, const Visitor& visitor) const {
  trunk_.visit(prefix + "trunk.", visitor);
  z_.visit(prefix + "z.", visitor);
  joint_.visit(prefix + "joint.", visitor);
}

}  // namespace damc
