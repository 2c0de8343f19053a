#include "damc/trainer.h"

#include <cmath>

#include "autograd/grad.h"
#include "optim/ema.h"
#include "tensor/error.h"

namespace damc {
namespace {

ExponentialDecay decay(const Config& c, double initial) {
  return {initial, c.lr_decay, c.lr_decay_every, c.lr_min};
}

/// Root mean square length of the rows of a [N, nz].
Tensor rms_norm(const Tensor& rows) {
  return sqrt(mul(sum_squares(rows), 1.0 / static_cast<double>(rows.size(0))));
}

}  // namespace

Trainer::Trainer(Model& model)
    : model_(model),
      random_(make_generator(model.config, Stream::training, model.device)),
      adam_q_(model.Q, {model.config.beta1, model.config.beta2, 1e-8, model.config.weight_decay}),
      adam_g_(model.G, {model.config.beta1, model.config.beta2, 1e-8, 0.0}),
      adam_e_(model.E, {model.config.beta1, model.config.beta2, 1e-8, 0.0}),
      rate_q_(decay(model.config, model.config.lr_q)),
      rate_g_(decay(model.config, model.config.lr_g)),
      rate_e_(decay(model.config, model.config.lr_e)) {}

IterationStats Trainer::iterate(std::int64_t k, const Tensor& x) {  // line 2: x is the minibatch
  IterationStats stats;
  const Tensor z0 = draw_samples(x);             // line 3
  const Tensor z_plus = posterior_chain(z0, x);  // line 5
  const Tensor z_minus = prior_chain(z0);        // line 4
  update_sampler(k, x, z_plus, stats);           // line 7: phi
  update_generator(k, x, z_plus, stats);         // line 6: beta
  update_energy(k, z_plus, z_minus, stats);      // line 6: alpha
  if ((k + 1) % model_.config.ema_every == 0) {
    ema_update(model_.Q_dummy, model_.Q, model_.config.ema_rho);  // phi_bar <- rho phi + (1 - rho) phi_bar
  }
  stats.z_norm = rms_norm(z_plus);
  stats.displacement = rms_norm(sub(z_plus, z0));
  return stats;
}

/// z0 ~ q(z given x) of the target sampler.
Tensor Trainer::draw_samples(const Tensor& x) { return model_.Q_dummy.sample(x, random_); }

Tensor Trainer::posterior_chain(const Tensor& z0, const Tensor& x) {
  const Config& c = model_.config;
  return posterior_langevin(model_.G, model_.E, z0, x, c.sigma,
                            {static_cast<int>(c.posterior_steps), c.posterior_step_size}, &random_);
}

/// Differs: besides the samples z0 as many chains start from N(0, I), as the authors' code and Appendix B
/// have it.
Tensor Trainer::prior_chain(const Tensor& z0) {
  const Config& c = model_.config;
  const Tensor start =
      c.prior_noise_starts ? cat(std::vector<Tensor>{z0, random_.normal(z0.shape(), z0.dtype())}, 0) : z0;
  return prior_langevin(model_.E, start, {static_cast<int>(c.prior_steps), c.prior_step_size}, &random_);
}

/// M steps on Eq. (8), the diffusion loss with z+ as data. Which images count as unconditional is drawn once.
void Trainer::update_sampler(std::int64_t k, const Tensor& x, const Tensor& z_plus, IterationStats& stats) {
  const Config& c = model_.config;
  const Amortizer& Q = model_.Q;
  const std::int64_t n = x.size(0);
  stats.lr_q = rate_q_.at(k);
  const Tensor mask = greater(random_.uniform({n}, x.dtype()), c.p_uncond);
  for (std::int64_t update = 0; update < c.q_updates; ++update) {
    const Variable xemb = Q.embed(x);
    const Variable free = Q.unconditional(n, random_);
    const Variable loss = c.split_losses ? Q.loss(z_plus, xemb, random_) + Q.loss(z_plus, free, random_)
                                         : Q.loss(z_plus, blend(mask, xemb, free), random_);
    stats.loss_q = loss.value();
    stats.grad_norm_q = apply(k, "sampler", loss, Q, adam_q_, stats.lr_q);
  }
}

/// |G(z+) - x|^2 summed over pixels, mean over the batch: Eq. (2)'s gradient for beta up to the factor 1/(2
/// sigma^2).
void Trainer::update_generator(std::int64_t k, const Tensor& x, const Tensor& z_plus, IterationStats& stats) {
  stats.lr_g = rate_g_.at(k);
  const Variable loss = (1.0 / static_cast<double>(x.size(0))) * sum(square(model_.G.forward(z_plus) - x));
  stats.loss_g = loss.value();
  stats.grad_norm_g = apply(k, "generator", loss, model_.G, adam_g_, stats.lr_g);
}

/// mean E(z+) - mean E(z-): Eq. (2)'s gradient for alpha.
void Trainer::update_energy(std::int64_t k, const Tensor& z_plus, const Tensor& z_minus,
                            IterationStats& stats) {
  stats.lr_e = rate_e_.at(k);
  const Variable plus = mean(model_.E.forward(z_plus)), minus = mean(model_.E.forward(z_minus));
  stats.energy_plus = plus.value();
  stats.energy_minus = minus.value();
  stats.grad_norm_e = apply(k, "energy", plus - minus, model_.E, adam_e_, stats.lr_e);
}

/// One optimiser step on a loss, unless the loss or its gradient is not finite. Returns the gradient's norm.
Tensor Trainer::apply(std::int64_t k, const char* term, const Variable& loss, const Module& network,
                      Adam& adam, double lr) {
  const auto check = [&](const char* what, const Tensor& scalar) {
    const double value = scalar.item();
    ENSURE(std::isfinite(value), "iteration {}: {} {} is {}", k, term, what,
           std::isnan(value) ? "nan" : "infinite");
  };
  check("loss", loss.value());
  const std::vector<Tensor> gradients = grad(loss, network.parameters());
  const Tensor norm = global_norm(gradients);
  check("gradient norm", norm);
  adam.step(gradients, norm, lr, model_.config.grad_clip);
  return norm;
}

StateDict Trainer::state_dict() const {
  StateDict state = adam_q_.state_dict("adam_q.");
  state.merge(adam_g_.state_dict("adam_g."));
  state.merge(adam_e_.state_dict("adam_e."));
  state["noise.position"] =
      Tensor::from(std::vector<std::int64_t>{static_cast<std::int64_t>(random_.position())}, {1});
  return state;
}

void Trainer::load_state_dict(const StateDict& state) {
  adam_q_.load_state_dict(state, "adam_q.");
  adam_g_.load_state_dict(state, "adam_g.");
  adam_e_.load_state_dict(state, "adam_e.");
  const auto position = state.find("noise.position");
  if (position == state.end() || position->second.dtype() != Dtype::i64 || position->second.numel() != 1) {
    user_error("no noise position in the state", "is this the state of a run?");
  }
  random_.set_position(static_cast<std::uint64_t>(position->second.to_vector<std::int64_t>()[0]));
}

}  // namespace damc
