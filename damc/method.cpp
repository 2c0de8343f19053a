#include "damc/method.h"

#include <cmath>

#include "damc/chains/langevin.h"

namespace damc {
namespace {

/// Of a network with this initial rate; after rollbacks all rates are smaller.
LearnerOptions learning(const Config& c, double initial, double weight_decay, std::int64_t rollbacks) {
  const double share = std::ldexp(1.0, -static_cast<int>(rollbacks));
  return {.rate = {share * initial, c.lr_decay, c.lr_decay_every, share * c.lr_min},
          .adam = {c.beta1, c.beta2, 1e-8, weight_decay},
          .grad_clip = c.grad_clip};
}

std::unique_ptr<AmortizedSampler> make_sampler(Model& model, std::int64_t rollbacks, FiniteWatch& watch) {
  const Config& c = model.config;
  if (!model.Q) return nullptr;
  return std::make_unique<AmortizedSampler>(
      *model.Q, *model.Q_target,
      AmortizedSamplerOptions{c.q_updates, c.p_uncond, c.split_losses, c.ema_every, c.ema_rho},
      learning(c, c.lr_q, c.weight_decay, rollbacks), watch);
}

std::unique_ptr<Starts> make_starts(const Config& c, const AmortizedSampler* sampler) {
  if (sampler) return std::make_unique<FromSampler>(*sampler, c.prior_noise_starts);
  return std::make_unique<FromNoise>(c.nz);
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

Method::Method(Model& model, std::int64_t rollbacks)
    : model_(model),
      random_(noise(model, rollbacks)),
      watch_(model.device),
      sampler_(make_sampler(model, rollbacks, watch_)),
      generator_(std::make_unique<Learner>(
          "generator", "g", model.G, learning(model.config, model.config.lr_g, 0.0, rollbacks), watch_)),
      energy_(model.E ? std::make_unique<Learner>("energy", "e", *model.E,
                                                  learning(model.config, model.config.lr_e, 0.0, rollbacks),
                                                  watch_)
                      : nullptr),
      starts_(make_starts(model.config, sampler_.get())),
      draw_starts_(
          "ancestral sampling", {"x"}, model.device,
          [this](const auto& in) -> std::array<Tensor, 1> { return {starts_->posterior(in[0], random_)}; }),
      posterior_chain_("posterior chain", {"z0", "x"}, model.device,
                       [this](const auto& in) { return walk_posterior(in[0], in[1]); }),
      prior_chain_("prior chain", {"z0"}, model.device,
                   [this](const auto& in) -> std::array<Tensor, 1> { return {walk_prior(in[0])}; }),
      update_sampler_("sampler updates", {"x", "z+"}, model.device,
                      [this](const auto& in) { return sampler_->fit(in[0], in[1], random_); }),
      update_generator_(
          "generator update", {"x", "z+"}, model.device,
          [this](const auto& in) { return generator_->step(model_.likelihood.loss(in[1], in[0])); }),
      update_energy_("energy update", {"z+", "z-"}, model.device,
                     [this](const auto& in) { return update_energy(in[0], in[1]); }),
      update_target_("target sampler's update", {}, model.device, [this](const auto&) {
        sampler_->follow();
        return std::array<Tensor, 0>{};
      }) {}

Stats Method::iterate(std::int64_t k, const Tensor& x, const Lap& after) {  // line 2: x is the minibatch
  begin(k);
  Stats stats;
  std::array<Tensor, 1> z_minus;
  const auto [z0] = draw_starts_({x}, after);                                                  // line 3
  const auto [z_plus, norm, moved] = posterior_chain_({z0, x}, after);                         // line 5
  if (energy_) z_minus = prior_chain_({z0}, after);                                            // line 4
  if (sampler_) stats.add<2>({"loss_q", "grad_norm_q"}, update_sampler_({x, z_plus}, after));  // line 7: phi
  stats.add<2>({"loss_g", "grad_norm_g"}, update_generator_({x, z_plus}, after));              // line 6: beta
  if (energy_)  // line 6: alpha
    stats.add<3>({"energy_plus", "energy_minus", "grad_norm_e"}, update_energy_({z_plus, z_minus[0]}, after));
  if (sampler_ && sampler_->follows_after(k)) update_target_({});
  stats.add<2>({"z_norm", "chain_displacement"}, {norm, moved});
  add_rates(stats);
  return stats;
}

std::array<Tensor, 3> Method::walk_posterior(const Tensor& z0, const Tensor& x) {
  const Config& c = model_.config;
  const Tensor z_plus = langevin(Posterior(model_.likelihood, *model_.prior, x), z0,
                                 {c.posterior_steps, c.posterior_step_size}, &random_);
  return {z_plus, rms_norm(z_plus), rms_norm(sub(z_plus, z0))};
}

Tensor Method::walk_prior(const Tensor& z0) {
  const Config& c = model_.config;
  return langevin(*model_.prior, starts_->prior(z0, random_), {c.prior_steps, c.prior_step_size}, &random_);
}

/// mean E(z+) - mean E(z-): Eq. (2)'s gradient for alpha. Short-run chains also keep energies small, by energy_l2 times
/// their mean squares.
std::array<Tensor, 3> Method::update_energy(const Tensor& z_plus, const Tensor& z_minus) {
  const Variable up = model_.prior->energies(z_plus), down = model_.prior->energies(z_minus);
  const Variable plus = mean(up), minus = mean(down);
  const double l2 = model_.config.energy_l2;
  const Variable loss = l2 > 0.0 ? plus - minus + l2 * (mean(square(up)) + mean(square(down))) : plus - minus;
  return {plus.value(), minus.value(), energy_->step(loss)[1]};
}

void Method::begin(std::int64_t k) {
  for (Learner* learner : learners()) learner->begin(k);
  watch_.begin(k);
}

void Method::add_rates(Stats& stats) const {
  for (const Learner* learner : learners()) stats.add("lr_" + learner->key(), learner->rate());
}

/// All that learn, in the order of their updates.
std::vector<Learner*> Method::learners() const {
  std::vector<Learner*> all;
  if (sampler_) all.push_back(&sampler_->learner());
  all.push_back(generator_.get());
  if (energy_) all.push_back(energy_.get());
  return all;
}

void Method::check() {
  const auto found = watch_.read();
  if (!found) return;
  watch_.reset();
  throw Divergence(fmt::format("iteration {}: {} is {}", found->iteration + 1, watch_.what(found->code),
                               found->is_nan ? "nan" : "infinite"));
}

StateDict Method::state_dict() const {
  StateDict state;
  for (const Learner* learner : learners()) state.merge(learner->state_dict());
  state["noise.position"] =
      Tensor::from(std::vector<std::int64_t>{static_cast<std::int64_t>(random_.position())}, {1});
  return state;
}

void Method::load_state_dict(const StateDict& state) {
  for (Learner* learner : learners()) learner->load_state_dict(state);
  const auto position = state.find("noise.position");
  if (position == state.end() || position->second.dtype() != Dtype::i64 || position->second.numel() != 1) {
    user_error("no noise position in the state", "is this the state of a run?");
  }
  random_.set_position(static_cast<std::uint64_t>(position->second.to_vector<std::int64_t>()[0]));
  watch_.reset();
}

}  // namespace damc
