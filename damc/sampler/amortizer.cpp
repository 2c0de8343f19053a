#include "damc/sampler/amortizer.h"

namespace damc {

Amortizer::Amortizer(std::unique_ptr<Layer> encoder, const AmortizerOptions& options, Init& init)
    : options_(options),
      encoder_(std::move(encoder)),
      p_(options.nz, options.nemb, options.widths, init),
      null_token_(init.normal({1, options.nemb})),
      plan_(options.sampling, null_token_.dtype(), null_token_.device()) {
  prior_emb_.emplace<Linear>(options.nz, 128, init);
  prior_emb_.push_back(leaky_relu_layer(0.01));
  prior_emb_.emplace<Linear>(128, options.nemb, init);
}

Variable Amortizer::unconditional(std::int64_t n, Generator& random) const {
  if (options_.unconditional == Unconditional::noise) {
    return prior_emb_.forward(random.normal({n, options_.nz}, null_token_.dtype()));
  }
  return null_token_ + Tensor::zeros({n, 1}, null_token_.dtype(), null_token_.device());
}

Variable Amortizer::loss(const Tensor& z, const Variable& xemb, Generator& random) const {
  const Tensor t = random.uniform({z.size(0)}, z.dtype());
  const Tensor eps = random.normal(z.shape(), z.dtype());
  return loss_at(z, xemb, t, eps);
}

Variable Amortizer::loss_at(const Tensor& z, const Variable& xemb, const Tensor& t, const Tensor& eps) const {
  const Tensor logsnr = sampling().schedule(t);
  const Variable eps_hat = p_.forward(diffuse(z, eps, logsnr), logsnr, xemb);
  return (0.5 / static_cast<double>(z.size(0))) * sum(square(eps - eps_hat));
}

Tensor Amortizer::sample(const Tensor& x, std::int64_t n, Generator& random) const {
  const Tensor xemb = embed(x).value();
  const Tensor zT = random.normal({n, options_.nz}, x.dtype());
  Tensor free;
  if (sampling().guidance != 0.0) free = unconditional(n, random).value();
  return ancestral_sample(p_, zT, xemb, free, plan_, &random);
}

Tensor Amortizer::sample_prior(std::int64_t n, Generator& random) const {
  const Tensor xemb = unconditional(n, random).value();
  const Tensor zT = random.normal({n, options_.nz}, xemb.dtype());
  return ancestral_sample(p_, zT, xemb, {}, plan_, &random);  // without guidance: its sides would be the same
}

void Amortizer::visit(const std::string& prefix, const Visitor& visitor) const {
  encoder_->visit(prefix + "encoder.", visitor);
  p_.visit(prefix + "p.", visitor);
  prior_emb_.visit(prefix + "prior_emb.", visitor);
  visitor(prefix + "xemb", null_token_);
}

Variable blend(const Tensor& mask, const Variable& a, const Variable& b) {
  const Tensor column = mask.reshape({-1, 1});
  return a * column + b * affine(column, -1.0, 1.0);
}

}  // namespace damc
