#include "damc/sampler/amortized_sampler.h"

#include "optim/ema.h"

namespace damc {

AmortizedSampler::AmortizedSampler(Amortizer& Q, Amortizer& target, const AmortizedSamplerOptions& options,
                                   const LearnerOptions& learning, FiniteWatch& watch)
    : Q_(Q),
      target_(target),
      options_(options),
      watch_(watch),
      learner_("sampler", "q", Q, learning, watch) {}

std::array<Tensor, 2> AmortizedSampler::fit(const Tensor& x, const Tensor& z_plus, const Pieces& pieces,
                                            Generator& random) {
  const Tensor mask = greater(random.uniform({x.size(0)}, x.dtype()), options_.p_uncond);
  std::array<Tensor, 2> last;
  for (Tensor& number : last) number = Tensor::zeros({}, x.dtype(), x.device());
  const PieceLosses losses = pieces.losses(x, random, [&](std::int64_t p) {
    return loss(pieces.of(x, p), pieces.of(z_plus, p), pieces.of(mask, p), random);
  });
  for (std::int64_t update = 0; update < options_.updates; ++update) last = learner_.step(losses);
  return last;
}

/// Eq. (8); with a mask of 0 an observation counts as unconditional.
Variable AmortizedSampler::loss(const Tensor& x, const Tensor& z_plus, const Tensor& mask,
                                Generator& random) const {
  const Variable xemb = Q_.embed(x), unconditional = Q_.unconditional(x.size(0), random);
  if (options_.split_losses) return Q_.loss(z_plus, xemb, random) + Q_.loss(z_plus, unconditional, random);
  return Q_.loss(z_plus, blend(mask, xemb, unconditional), random);
}

void AmortizedSampler::follow() { ema_update(target_, Q_, options_.ema_rho, &watch_); }

}  // namespace damc
