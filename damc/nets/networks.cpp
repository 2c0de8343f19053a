#include "damc/nets/networks.h"

#include "tensor/error.h"

namespace damc {
namespace {

constexpr double kSlope = 0.2;  // of every leaky ReLU in these three networks

}  // namespace

const Architecture& architecture(const std::string& name) {
  static const std::vector<Architecture> all = {
      {"svhn",
       32,
       3,
       {{4, 1, 0, 8}, {4, 2, 1, 4}, {4, 2, 1, 2}, {4, 2, 1, 0}},
       {{3, 1, 1, 1}, {4, 2, 1, 2}, {4, 2, 1, 4}, {4, 2, 1, 8}, {4, 1, 0, 0}}},
      {"celeba64",
       64,
       3,
       {{4, 1, 0, 8}, {4, 2, 1, 4}, {4, 2, 1, 2}, {4, 2, 1, 1}, {4, 2, 1, 0}},
       {{3, 1, 1, 1}, {4, 2, 1, 2}, {4, 2, 1, 4}, {4, 2, 1, 8}, {4, 2, 1, 8}, {4, 1, 0, 0}}},
      {"cifar10",
       32,
       3,
       {{8, 1, 0, 8}, {4, 2, 1, 4}, {4, 2, 1, 2}, {3, 1, 1, 0}},
       {{3, 1, 1, 1}, {4, 2, 1, 2}, {4, 2, 1, 4}, {4, 2, 1, 8}, {4, 1, 0, 0}}},
      {"celebahq",
       256,
       3,
       {{4, 1, 0, 16}, {4, 2, 1, 8}, {4, 2, 1, 4}, {4, 2, 1, 4}, {4, 2, 1, 2}, {4, 2, 1, 1}, {4, 2, 1, 0}},
       {{3, 1, 1, 1},
        {4, 2, 1, 2},
        {4, 2, 1, 4},
        {4, 2, 1, 4},
        {4, 2, 1, 8},
        {4, 2, 1, 8},
        {4, 2, 1, 8},
        {4, 1, 0, 0}}},
      {"mnist",
       28,
       1,
       {{7, 1, 0, 8}, {4, 2, 1, 4}, {4, 2, 1, 2}, {3, 1, 1, 0}},
       {{3, 1, 1, 1}, {4, 2, 1, 2}, {4, 2, 1, 4}, {4, 2, 1, 8}, {3, 1, 0, 0}}},
  };
  for (const Architecture& images : all) {
    if (images.name == name) return images;
  }
  throw Error(fmt::format("no architecture '{}'", name));
}

EnergyNet::EnergyNet(std::int64_t nz, std::int64_t ndf, Init& init, std::int64_t hidden_layers)
    : precision_(init.precision()) {
  for (std::int64_t layer = 0; layer < hidden_layers; ++layer) {
    ebm_.emplace<Linear>(layer == 0 ? nz : ndf, ndf, init);
    ebm_.push_back(leaky_relu_layer(kSlope));
  }
  ebm_.emplace<Linear>(ndf, 1, init);
}

void EnergyNet::begin_at_zero() {
  const std::vector<Variable> all = parameters();
  for (std::size_t i = all.size() - 2; i < all.size(); ++i) all[i].value().fill(0.0);  // of the last layer
}

Tensor EnergyNet::grad_z(const Tensor& z) const {
  const std::vector<Variable> p = parameters();  // weight, bias of each layer
  const Unary leaky{UnaryOp::leaky_relu, kSlope};
  std::vector<Tensor> hidden{z};
  for (std::size_t i = 0; i + 2 < p.size(); i += 2) {
    hidden.push_back(linear(hidden.back(), p[i].value(), p[i + 1].value(), {leaky, precision_}));
  }
  Tensor g = p[p.size() - 2].value().expand(hidden.back().shape());  // of E = h w^T + b for the last h
  for (std::size_t i = hidden.size() - 1; i > 0; --i) {
    g = matmul(unary_vjp(leaky, g, hidden[i], hidden[i]), p[2 * i - 2].value(),
               precision_);  // the value's sign is the input's
  }
  return g;
}

GeneratorNet::GeneratorNet(const Architecture& images, std::int64_t nz, std::int64_t ngf, Init& init,
                           Precision precision)
    : precision_(precision) {
  std::int64_t in = nz;
  for (const ConvSpec& layer : images.generator) {
    const bool last = layer.width == 0;
    const std::int64_t out = last ? images.channels : layer.width * ngf;
    gen_.emplace<ConvTranspose2d>(in, out, layer.kernel, ConvOptions{layer.stride, layer.padding}, init);
    if (!last) gen_.push_back(leaky_relu_layer(kSlope));
    if (last && precision != Precision::bf16) gen_.push_back(tanh_layer());
    in = out;
  }
}

Variable GeneratorNet::forward(const Variable& z) const {
  ENSURE(z.value().ndim() == 2, "generator: z has shape {}, expected [N, nz]", z.shape().str());
  const Variable pixel = reshape(z, {z.size(0), 1, 1, z.size(1)});
  const Variable y = cast(gen_.forward(cast(pixel, activations_of(precision_, z.dtype()))), z.dtype());
  return precision_ == Precision::bf16 ? tanh(y) : y;
}

EncoderNet::EncoderNet(const Architecture& images, std::int64_t nif, std::int64_t nemb, Init& init,
                       Precision precision)
    : precision_(precision) {
  std::int64_t in = images.channels;
  for (const ConvSpec& layer : images.encoder) {
    const bool last = layer.width == 0;
    const std::int64_t out = last ? nemb : layer.width * nif;
    net_.emplace<Conv2d>(in, out, layer.kernel, ConvOptions{layer.stride, layer.padding}, init);
    if (last) break;
    net_.emplace<InstanceNorm2d>(out, init);
    net_.push_back(leaky_relu_layer(kSlope));
    in = out;
  }
}

Variable EncoderNet::forward(const Variable& x) const {
  const Variable y = net_.forward(cast(x, activations_of(precision_, x.dtype())));
  return cast(reshape(y, {y.size(0), -1}), x.dtype());
}

}  // namespace damc
