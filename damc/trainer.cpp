#include "damc/trainer.h"

#include <cmath>

#include "autograd/grad.h"
#include "optim/ema.h"

namespace damc {
namespace {

ExponentialDecay decay(const Config& c, double initial, std::int64_t rollbacks) {
  const double share = std::ldexp(1.0, -static_cast<int>(rollbacks));
  return {share * initial, c.lr_decay, c.lr_decay_every, share * c.lr_min};
}

/// Training's noise; every rollback has a stream of its own.
Generator noise(const Model& model, std::int64_t rollbacks) {
  const auto stream =
      static_cast<std::uint64_t>(Stream::training) + (static_cast<std::uint64_t>(rollbacks) << 32);
  return Generator(static_cast<std::uint64_t>(model.config.seed), stream, model.device);
}

/// Root mean square length of the rows of a [N, nz].
Tensor rms_norm(const Tensor& rows) {
  return sqrt(mul(sum_squares(rows), 1.0 / static_cast<double>(rows.size(0))));
}

}  // namespace

Trainer::Trainer(Model& model, std::int64_t rollbacks)
    : model_(model),
      random_(noise(model, rollbacks)),
      adam_q_(model.Q, {model.config.beta1, model.config.beta2, 1e-8, model.config.weight_decay}),
      adam_g_(model.G, {model.config.beta1, model.config.beta2, 1e-8, 0.0}),
      adam_e_(model.E, {model.config.beta1, model.config.beta2, 1e-8, 0.0}),
      rate_q_(decay(model.config, model.config.lr_q, rollbacks)),
      rate_g_(decay(model.config, model.config.lr_g, rollbacks)),
      rate_e_(decay(model.config, model.config.lr_e, rollbacks)),
      watch_(model.device),
      draw_samples_(step("ancestral sampling", {"x"}, &Trainer::draw_samples)),
      posterior_chain_(step("posterior chain", {"z0", "x"}, &Trainer::posterior_chain)),
      prior_chain_(step("prior chain", {"z0"}, &Trainer::prior_chain)),
      update_sampler_(step("sampler updates", {"x", "z+"}, &Trainer::update_sampler)),
      update_generator_(step("generator update", {"x", "z+"}, &Trainer::update_generator)),
      update_energy_(step("energy update", {"z+", "z-"}, &Trainer::update_energy)),
      update_average_(step("target sampler's update", {}, &Trainer::update_average)) {}

Captured Trainer::step(const char* name, std::vector<std::string> inputs,
                       Tensors (Trainer::*body)(const Tensors&)) {
  return Captured(name, std::move(inputs), model_.device,
                  [this, body](const Tensors& in) { return (this->*body)(in); });
}

IterationStats Trainer::iterate(std::int64_t k, const Tensor& x) {  // line 2: x is the minibatch
  const double lr_q = rate_q_.at(k), lr_g = rate_g_.at(k), lr_e = rate_e_.at(k);
  adam_q_.set_rate(lr_q);
  adam_g_.set_rate(lr_g);
  adam_e_.set_rate(lr_e);
  watch_.begin(k);

  const Tensor z0 = draw_samples_({x})[0];          // line 3
  const Tensors chain = posterior_chain_({z0, x});  // line 5
  const Tensor& z_plus = chain[0];
  const Tensor z_minus = prior_chain_({z0})[0];         // line 4
  const Tensors q = update_sampler_({x, z_plus});       // line 7: phi
  const Tensors g = update_generator_({x, z_plus});     // line 6: beta
  const Tensors e = update_energy_({z_plus, z_minus});  // line 6: alpha
  if ((k + 1) % model_.config.ema_every == 0) update_average_({});
  return {.loss_q = q[0],
          .loss_g = g[0],
          .energy_plus = e[0],
          .energy_minus = e[1],
          .grad_norm_q = q[1],
          .grad_norm_g = g[1],
          .grad_norm_e = e[2],
          .z_norm = chain[1],
          .displacement = chain[2],
          .lr_q = lr_q,
          .lr_g = lr_g,
          .lr_e = lr_e};
}

/// z0 ~ q(z given x) of the target sampler.
Tensors Trainer::draw_samples(const Tensors& in) {
  const Tensor& x = in[0];
  return {model_.Q_dummy.sample(x, random_)};
}

Tensors Trainer::posterior_chain(const Tensors& in) {
  const Tensor &z0 = in[0], &x = in[1];
  const Config& c = model_.config;
  const Tensor z_plus =
      posterior_langevin(model_.G, model_.E, z0, x, c.sigma,
                         {static_cast<int>(c.posterior_steps), c.posterior_step_size}, &random_);
  return {z_plus, rms_norm(z_plus), rms_norm(sub(z_plus, z0))};
}

/// Differs: besides the samples z0 as many chains start from N(0, I), as the authors' code and Appendix B
/// have it.
Tensors Trainer::prior_chain(const Tensors& in) {
  const Tensor& z0 = in[0];
  const Config& c = model_.config;
  const Tensor start =
      c.prior_noise_starts ? cat(Tensors{z0, random_.normal(z0.shape(), z0.dtype())}, 0) : z0;
  return {prior_langevin(model_.E, start, {static_cast<int>(c.prior_steps), c.prior_step_size}, &random_)};
}

/// M steps on Eq. (8), the diffusion loss with z+ as data. Which images count as unconditional is drawn once.
Tensors Trainer::update_sampler(const Tensors& in) {
  const Tensor &x = in[0], &z_plus = in[1];
  const Config& c = model_.config;
  const Amortizer& Q = model_.Q;
  const std::int64_t n = x.size(0);
  const Tensor mask = greater(random_.uniform({n}, x.dtype()), c.p_uncond);
  Tensors last = {Tensor::zeros({}, x.dtype(), x.device()), Tensor::zeros({}, x.dtype(), x.device())};
  for (std::int64_t update = 0; update < c.q_updates; ++update) {
    const Variable xemb = Q.embed(x);
    const Variable free = Q.unconditional(n, random_);
    const Variable loss = c.split_losses ? Q.loss(z_plus, xemb, random_) + Q.loss(z_plus, free, random_)
                                         : Q.loss(z_plus, blend(mask, xemb, free), random_);
    last = {loss.value(), apply(Term::sampler, loss, Q, adam_q_)};
  }
  return last;
}

/// |G(z+) - x|^2 summed over pixels, mean over the batch: Eq. (2)'s gradient for beta up to the factor 1/(2
/// sigma^2).
Tensors Trainer::update_generator(const Tensors& in) {
  const Tensor &x = in[0], &z_plus = in[1];
  const Variable loss = (1.0 / static_cast<double>(x.size(0))) * sum(square(model_.G.forward(z_plus) - x));
  return {loss.value(), apply(Term::generator, loss, model_.G, adam_g_)};
}

/// mean E(z+) - mean E(z-): Eq. (2)'s gradient for alpha.
Tensors Trainer::update_energy(const Tensors& in) {
  const Tensor &z_plus = in[0], &z_minus = in[1];
  const Variable plus = mean(model_.E.forward(z_plus)), minus = mean(model_.E.forward(z_minus));
  return {plus.value(), minus.value(), apply(Term::energy, plus - minus, model_.E, adam_e_)};
}

/// phi_bar <- rho phi + (1 - rho) phi_bar
Tensors Trainer::update_average(const Tensors&) {
  ema_update(model_.Q_dummy, model_.Q, model_.config.ema_rho, &watch_);
  return {};
}

/// One optimiser step on a loss, unless a loss or gradient was not finite so far. Returns the gradient's norm.
Tensor Trainer::apply(Term term, const Variable& loss, const Module& network, Adam& adam) {
  const std::int64_t code = 2 * static_cast<std::int64_t>(term);
  watch_.see(loss.value(), code);
  const std::vector<Tensor> gradients = grad(loss, network.parameters());
  const Tensor norm = global_norm(gradients);
  watch_.see(norm, code + 1);
  adam.update(gradients, norm, model_.config.grad_clip, &watch_);
  return norm;
}

void Trainer::check() {
  const auto found = watch_.read();
  if (!found) return;
  watch_.reset();
  constexpr const char* terms[] = {"sampler", "generator", "energy"};
  throw Divergence(fmt::format("iteration {}: {} {} is {}", found->iteration + 1, terms[found->code / 2],
                               found->code % 2 ? "gradient norm" : "loss",
                               found->is_nan ? "nan" : "infinite"));
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
  watch_.reset();
}

}  // namespace damc
