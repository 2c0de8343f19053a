#include "damc/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>

#include "damc/chains/diagnostics.h"
#include "damc/chains/langevin.h"
#include "damc/chains/stability.h"
#include "tensor/ops.h"

namespace damc {
namespace {

constexpr std::int64_t kChains = 16;

/// energy(z) [K, 1] at the start of K chains and after each step: [steps + 1, K].
template <class Energy>
Tensor follow(const Potential& potential, const Energy& energy, Tensor z, const ChainOptions& options,
              Generator& random) {
  const PinnedWeights pinned(potential.weights());
  const Shape row{1, z.size(0)};
  std::vector<Tensor> energies{energy(z).reshape(row)};
  for (std::int64_t step = 0; step < options.steps; ++step) {
    z = langevin(potential, z, {1, options.step_size}, &random);
    energies.push_back(energy(z).reshape(row));
  }
  return cat(energies, 0);
}

void add_mixing(Stats& stats, const std::string& chain, const Tensor& series) {
  if (series.size(0) < 4) return;
  const Mixing found = mixing(series);
  stats.add("tau_" + chain, found.time.steps);
  stats.add("rhat_" + chain, found.rhat);
  stats.add("drift_" + chain, found.drift);
}

Tensor start(const Model& model, const Tensor& x, Generator& random) {
  if (model.V) return encoded_mean(*model.V, x, model.config.nz);
  if (model.config.start == Start::sampler) return model.Q_target->sample(x, random);
  return random.normal({x.size(0), model.config.nz});
}

Tensor row_squares(const Tensor& x) {
  return sum(square(x).reshape({x.size(0), -1}), 1).reshape({x.size(0), 1});
}

void diagnose_posterior(const Model& model, const Tensor& x, const Tensor& z0, Generator& random,
                        Stats& stats) {
  const Config& c = model.config;
  stats.add("stability_posterior",
            stability(largest_curvature(model.likelihood, z0, random), c.posterior_step_size));
  Shape shape = x.shape();
  shape[0] = kChains;
  const Tensor same = x.narrow(0, 0, 1).expand(shape).contiguous();
  const auto total_energy = [&](const Tensor& z) {
    const Tensor misfit = mul(row_squares(sub(model.decode(z), same)), 0.5 / (c.sigma * c.sigma));
    return add(add(misfit, model.prior->energies(z).value()), mul(row_squares(z), 0.5));
  };
  add_mixing(stats, "posterior",
             follow(Posterior(model.likelihood, *model.prior, same), total_energy, start(model, same, random),
                    {c.posterior_steps, c.posterior_step_size}, random));
}

}  // namespace

Stats diagnose(const Model& model, const Tensor& x) {
  const Config& c = model.config;
  Generator random = make_generator(c, Stream::diagnosis, model.device);
  Stats stats;
  if (model.critic) return stats;  // methods without chains
  const Tensor z0 = start(model, x.narrow(0, 0, std::min(kChains, x.size(0))), random);
  if (!model.V) diagnose_posterior(model, x, z0, random, stats);  // an encoder has no such chains
  if (!model.E && model.ratios.empty()) return stats;
  stats.add("stability_prior", stability(largest_curvature(*model.prior, z0, random), c.prior_step_size));
  add_mixing(stats, "prior",
             follow(
                 *model.prior, [&](const Tensor& z) { return model.prior->energies(z).value(); }, z0,
                 {c.prior_steps, c.prior_step_size}, random));
  return stats;
}

std::vector<std::string> StabilityAlarms::news(const Config& c, const Stats& stats) {
  std::vector<std::string> lines;
  const auto judge = [&](const std::string& chain, const std::string& remedy) {
    const std::string name = "stability_" + chain;
    const double number = stats.contains(name) ? stats[name] : std::nan("");
    if (std::isnan(number)) return;
    const bool was = unstable_.contains(chain), is = number > kLargestStability;
    if (is && !was) {
      lines.push_back(fmt::format(
          "alarm: steps of the {} chain are too long, their stability number is {:.3g}, above {}; {}", chain,
          number, kLargestStability, remedy));
      unstable_.insert(chain);
    } else if (was && !is) {
      lines.push_back(
          fmt::format("steps of the {} chain are stable again: their number is {:.3g}", chain, number));
      unstable_.erase(chain);
    }
  };
  judge("posterior", fmt::format("posterior_step_size {} is to be smaller, or sigma {} larger",
                                 c.posterior_step_size, c.sigma));
  judge("prior", fmt::format("prior_step_size {} is to be smaller", c.prior_step_size));
  return lines;
}

}  // namespace damc
