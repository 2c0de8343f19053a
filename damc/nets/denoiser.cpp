#include "damc/nets/denoiser.h"

#include <cmath>
#include <numbers>

#include "tensor/error.h"

namespace damc {

DenoiserBlock::DenoiserBlock(std::int64_t in, std::int64_t out, std::int64_t context, Init& init)
    : layer(in, out, init),
      layer_ctx(context, out, init),
      hyper_bias(out, out, init, false),
      hyper_gate(out, out, init),
      skip(in, out, init) {}

Variable DenoiserBlock::forward(const Variable& x, const Variable& context) const {
  const Variable c = silu(layer_ctx.forward(context));
  return layer.forward(x) * sigmoid(hyper_gate.forward(c)) + hyper_bias.forward(c) + skip.forward(x);
}

void DenoiserBlock::visit(const std::string& prefix, const Visitor& visitor) const {
  layer.visit(prefix + "_layer.0.", visitor);
  layer_ctx.visit(prefix + "_layer_ctx.1.", visitor);
  hyper_bias.visit(prefix + "_hyper_bias.", visitor);
  hyper_gate.visit(prefix + "_hyper_gate.", visitor);
  skip.visit(prefix + "_skip.", visitor);
}

DenoiserWidths DenoiserWidths::scaled(double f) { return {std::llround(128.0 * f), std::llround(256.0 * f)}; }

Denoiser::Denoiser(std::int64_t nz, std::int64_t nemb, const DenoiserWidths& widths, Init& init)
    : projection_(init.normal({nz, nz / 2})),
      precision_(init.precision()),
      frequencies_(sinusoidal_frequencies(kTimeEmbedding, projection_.device())) {
  ENSURE(nz % 2 == 0, "denoiser: nz is {}, the Fourier features need an even number", nz);
  time_mlp_.emplace<Linear>(kTimeEmbedding, kTimeEmbedding, init);
  time_mlp_.push_back(silu_layer());
  time_mlp_.emplace<Linear>(kTimeEmbedding, kTimeEmbedding, init);
  const auto [narrow, wide] = widths;
  const std::int64_t sizes[kDenoiserBlocks][2] = {{2 * nz, narrow}, {narrow, wide},   {wide, wide},
                                                  {wide, wide},     {2 * wide, wide}, {2 * wide, narrow},
                                                  {2 * narrow, nz}};
  for (const auto& [in, out] : sizes) {
    blocks_.push_back(std::make_unique<DenoiserBlock>(in, out, kTimeEmbedding + nemb, init));
  }
}

Variable Denoiser::time_embedding(const Tensor& logsnr) const {
  // In f32 an angle of up to 1000 would be off by 6e-5, and its sine with it.
  const Tensor exact = clamp(logsnr.to(Dtype::f64), -20.0, 20.0);
  const Tensor t = mul(atan(exp(mul(exact, -0.5))), 2.0 / std::numbers::pi);
  return time_mlp_.forward(sinusoidal_embedding(mul(t, 1000.0), frequencies_).to(logsnr.dtype()));
}

Variable Denoiser::forward(const Variable& z, const Tensor& logsnr, const Variable& xemb) const {
  const Variable context = silu(cat(std::vector<Variable>{time_embedding(logsnr), xemb}, 1));
  Variable x = fourier_features(z, projection_, precision_);
  std::vector<Variable> outputs;
  for (std::size_t i = 0; i < kDenoiserBlocks; ++i) {
    const int takes = kDenoiserWiring[i].takes;
    if (takes >= 0) x = cat(std::vector<Variable>{x, outputs[static_cast<std::size_t>(takes)]}, 1);
    x = blocks_[i]->forward(x, context);
    if (i + 1 < kDenoiserBlocks) outputs.push_back(x = unary(kDenoiserActivation, x));
  }
  return z + x;
}

void Denoiser::visit(const std::string& prefix, const Visitor& visitor) const {
  // The sinusoidal embedding is number 0 in the authors' sequence, so the layers here count from 1.
  time_mlp_.visit(prefix, [&](const std::string& name, const Variable& parameter) {
    const std::string inner = name.substr(prefix.size());
    visitor(prefix + "time_mlp." + std::to_string(std::stoi(inner) + 1) + inner.substr(inner.find('.')),
            parameter);
  });
  visitor(prefix + "B", projection_);
  for (std::size_t i = 0; i < kDenoiserBlocks; ++i)
    blocks_[i]->visit(prefix + kDenoiserWiring[i].name + ".", visitor);
}

}  // namespace damc
