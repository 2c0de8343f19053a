#include "damc/methods/by_chains.h"

namespace damc {
namespace {

std::unique_ptr<Starts> make_starts(const Config& c, const AmortizedSampler* sampler) {
  if (c.start == Start::sampler) return std::make_unique<FromSampler>(*sampler, c.prior_noise_starts);
  return std::make_unique<FromNoise>(c.nz);
}

}  // namespace

ByChains::ByChains(const Config& config, const ChainParts& parts, Device device, Generator& random)
    : chains_{config.posterior_steps, config.posterior_step_size},
      parts_(parts),
      random_(random),
      starts_(make_starts(config, parts.sampler)),
      draw_starts_("ancestral sampling", {"x"}, device,
                   [this](const auto& in) -> std::array<Tensor, 1> {
                     const Pieces& pieces = parts_.pieces;
                     return {pieces.map(in[0], random_, [&](std::int64_t p) {
                       return starts_->posterior(pieces.of(in[0], p), random_);
                     })};
                   }),
      posterior_chain_("posterior chain", {"z0", "x"}, device,
                       [this](const auto& in) { return walk_posterior(in[0], in[1]); }),
      update_sampler_(
          "sampler updates", {"x", "z+"}, device,
          [this](const auto& in) { return parts_.sampler->fit(in[0], in[1], parts_.pieces, random_); }),
      update_generator_("generator update", {"x", "z+"}, device,
                        [this](const auto& in) { return update_generator(in[0], in[1]); }),
      update_target_("target sampler's update", {}, device, [this](const auto&) {
        parts_.sampler->follow();
        return std::array<Tensor, 0>{};
      }) {
  if (parts.energy) energy_.emplace(*parts.energy, *starts_, device, random);
}

Stats ByChains::iterate(std::int64_t k, const Minibatch& batch, const Lap& after) {  // line 2: the minibatch
  const auto& [likelihood, prior, sampler, pool, generator, energy, pieces] = parts_;
  const Tensor& x = batch.x;
  Stats stats;
  Tensor z_minus;
  const Tensor z0 = pool ? pool->at(own(batch.rows)) : draw_starts_({x}, after)[0];  // line 3
  const auto [z_plus, norm, moved] = posterior_chain_({z0, x}, after);               // line 5
  if (pool) pool->keep(batch.rows, pieces.among().gather(z_plus));
  if (energy_) z_minus = energy_->walk(z0, after);                                            // line 4
  if (sampler) stats.add<2>({"loss_q", "grad_norm_q"}, update_sampler_({x, z_plus}, after));  // line 7: phi
  if (generator)                                                                              // line 6: beta
    stats.add<2>({"loss_g", "grad_norm_g"}, update_generator_({x, z_plus}, after));
  if (energy_) energy_->update(z_plus, z_minus, stats, after);  // line 6: alpha
  if (sampler && sampler->follows_after(k)) update_target_({});
  stats.add<2>({"z_norm", "chain_displacement"}, {norm, moved});
  return stats;
}

/// z+ [B, nz], root mean square of |z+| and of |z+ - z0|.
std::array<Tensor, 3> ByChains::walk_posterior(const Tensor& z0, const Tensor& x) {
  const Pieces& pieces = parts_.pieces;
  const Tensor z_plus = pieces.map(x, random_, [&](std::int64_t p) {
    const Posterior posterior(*parts_.likelihood, *parts_.prior, pieces.of(x, p));
    return langevin(posterior, pieces.of(z0, p), chains_, &random_);
  });
  const std::vector<Tensor> squares = pieces.means(x, [&](std::int64_t p) {
    const Tensor end = pieces.of(z_plus, p);
    return std::array{mean_square(end), mean_square(sub(end, pieces.of(z0, p)))};
  });
  return {z_plus, sqrt(squares[0]), sqrt(squares[1])};
}

/// Of the rows of all processes those of this one.
std::span<const std::int64_t> ByChains::own(std::span<const std::int64_t> rows) const {
  const Part part = parts_.pieces.among().part();
  const std::size_t count = rows.size() / static_cast<std::size_t>(part.count);
  return rows.subspan(static_cast<std::size_t>(part.index) * count, count);
}

std::array<Tensor, 2> ByChains::update_generator(const Tensor& x, const Tensor& z_plus) {
  const Pieces& pieces = parts_.pieces;
  return parts_.generator->step(pieces.losses(x, random_, [&](std::int64_t p) {
    return parts_.likelihood->loss(pieces.of(z_plus, p), pieces.of(x, p));
  }));
}

std::vector<Learner*> ByChains::learners() const {
  std::vector<Learner*> all;
  if (parts_.sampler) all.push_back(&parts_.sampler->learner());
  if (parts_.generator) all.push_back(parts_.generator);
  if (energy_) all.push_back(energy_->learner());
  return all;
}

}  // namespace damc
