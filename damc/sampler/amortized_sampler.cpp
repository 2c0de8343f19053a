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

std::array<Tensor, 2> AmortizedSampler::fit(const Tensor& x, const Tensor& z_plus, Generator& random) {
  const std::int64_t n = x.size(0);
  const Tensor mask = greater(random.uniform({n}, x.dtype()), options_.p_uncond);
  std::array<Tensor, 2> last;
  for (Tensor& number : last) number = Tensor::zeros({}, x.dtype(), x.device());
  for (std::int64_t update = 0; update < options_.updates; ++update) {
    const Variable xemb = Q_.embed(x);
    const Variable unconditional = Q_.unconditional(n, random);
    const Variable loss = options_.split_losses
                              ? Q_.loss(z_plus, xemb, random) + Q_.loss(z_plus, unconditional, random)
                              : Q_.loss(z_plus, blend(mask, xemb, unconditional), random);
    last = learner_.step(loss);
  }
  return last;
}

void AmortizedSampler::follow() { ema_update(target_, Q_, options_.ema_rho, &watch_); }

}  // namespace damc
