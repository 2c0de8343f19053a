#include "damc/methods/by_chains.h"

#include "damc/chains/langevin.h"

namespace damc {
namespace {

std::unique_ptr<Starts> make_starts(const Config& c, const AmortizedSampler* sampler) {
  if (c.start == Start::sampler) return std::make_unique<FromSampler>(*sampler, c.prior_noise_starts);
  return std::make_unique<FromNoise>(c.nz);
}

/// Root mean square length of the rows of a [N, nz].
Tensor rms_norm(const Tensor& rows) {
  return sqrt(mul(sum_squares(rows), 1.0 / static_cast<double>(rows.size(0))));
}

}  // namespace

ByChains::ByChains(const Config& config, ChainParts parts, Device device, Generator& random)
    : config_(config),
      parts_(std::move(parts)),
      random_(random),
      starts_(make_starts(config, parts_.sampler)),
      draw_starts_(
          "ancestral sampling", {"x"}, device,
          [this](const auto& in) -> std::array<Tensor, 1> { return {starts_->posterior(in[0], random_)}; }),
      posterior_chain_("posterior chain", {"z0", "x"}, device,
                       [this](const auto& in) { return walk_posterior(in[0], in[1]); }),
      prior_chain_("prior chain", {"z0"}, device,
                   [this](const auto& in) -> std::array<Tensor, 1> { return {walk_prior(in[0])}; }),
      update_sampler_("sampler updates", {"x", "z+"}, device,
                      [this](const auto& in) { return parts_.sampler->fit(in[0], in[1], random_); }),
      update_generator_(
          "generator update", {"x", "z+"}, device,
          [this](const auto& in) { return parts_.generator->step(parts_.likelihood->loss(in[1], in[0])); }),
      update_energy_("energy update", {"z+", "z-"}, device,
                     [this](const auto& in) { return update_energy(in[0], in[1]); }),
      update_target_("target sampler's update", {}, device, [this](const auto&) {
        parts_.sampler->follow();
        return std::array<Tensor, 0>{};
      }) {}

Stats ByChains::iterate(std::int64_t k, const Minibatch& batch, const Lap& after) {  // line 2: the minibatch
  const auto& [likelihood, prior, sampler, pool, generator, energy, learned, energy_loss] = parts_;
  const Tensor& x = batch.x;
  Stats stats;
  std::array<Tensor, 1> z_minus;
  const Tensor z0 = pool ? pool->at(batch.rows) : draw_starts_({x}, after)[0];  // line 3
  const auto [z_plus, norm, moved] = posterior_chain_({z0, x}, after);          // line 5
  if (pool) pool->keep(batch.rows, z_plus);
  if (energy) z_minus = prior_chain_({z0}, after);                                            // line 4
  if (sampler) stats.add<2>({"loss_q", "grad_norm_q"}, update_sampler_({x, z_plus}, after));  // line 7: phi
  if (generator)                                                                              // line 6: beta
    stats.add<2>({"loss_g", "grad_norm_g"}, update_generator_({x, z_plus}, after));
  if (energy)  // line 6: alpha
    stats.add<3>({"energy_plus", "energy_minus", "grad_norm_e"}, update_energy_({z_plus, z_minus[0]}, after));
  if (sampler && sampler->follows_after(k)) update_target_({});
  stats.add<2>({"z_norm", "chain_displacement"}, {norm, moved});
  return stats;
}

std::array<Tensor, 3> ByChains::walk_posterior(const Tensor& z0, const Tensor& x) {
  const Tensor z_plus = langevin(Posterior(*parts_.likelihood, *parts_.prior, x), z0,
                                 {config_.posterior_steps, config_.posterior_step_size}, &random_);
  return {z_plus, rms_norm(z_plus), rms_norm(sub(z_plus, z0))};
}

Tensor ByChains::walk_prior(const Tensor& z0) {
  return langevin(*parts_.prior, starts_->prior(z0, random_), {config_.prior_steps, config_.prior_step_size},
                  &random_);
}

std::array<Tensor, 3> ByChains::update_energy(const Tensor& z_plus, const Tensor& z_minus) {
  const Prior& learned = *parts_.learned;
  const EnergyLoss of = parts_.energy_loss(learned.energies(z_plus), learned.energies(z_minus));
  return {of.plus.value(), of.minus.value(), parts_.energy->step(of.loss)[1]};
}

std::vector<Learner*> ByChains::learners() const {
  std::vector<Learner*> all;
  if (parts_.sampler) all.push_back(&parts_.sampler->learner());
  for (Learner* learner : {parts_.generator, parts_.energy}) {
    if (learner) all.push_back(learner);
  }
  return all;
}

}  // namespace damc
