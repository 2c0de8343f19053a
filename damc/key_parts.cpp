#include "damc/key_parts.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace damc {
namespace {

/// Keys that have a part where a method has one.
struct Rule {
  std::vector<std::string_view> keys;
  bool (*applies)(const MethodParts&);
};

bool learns_ratios(const MethodParts& m) { return m.prior == PriorKind::ratios; }
bool learns_energy(const MethodParts& m) { return m.prior == PriorKind::energy || learns_ratios(m); }

/// By chains, where an encoder's z come with proposals of its prior.
bool learns_stages(const MethodParts& m) { return learns_ratios(m) && m.walks(); }
bool sees_images(const MethodParts& m) { return m.sampler || !m.walks(); }

const std::vector<Rule>& rules() {
  using M = MethodParts;
  static const std::vector<Rule> all = {
      {{"diffusion_steps", "logsnr_min", "logsnr_max", "gamma", "solver", "solver_steps", "eta", "uncond",
        "p_uncond", "split_losses", "guidance", "lr_q", "weight_decay", "q_updates", "ema_rho", "ema_every",
        "width", "denoiser_width"},
       [](const M& m) { return m.sampler; }},
      {{"nif", "nemb"}, sees_images},
      {{"start", "posterior_steps", "posterior_step_size"}, [](const M& m) { return m.walks(); }},
      {{"prior_steps", "prior_step_size"},
       [](const M& m) { return m.prior == PriorKind::energy || learns_stages(m); }},
      {{"energy_l2"}, [](const M& m) { return m.prior == PriorKind::energy; }},
      {{"prior_noise_starts"}, [](const M& m) { return m.prior == PriorKind::energy && m.sampler; }},
      {{"ndf"}, learns_energy},
      {{"lr_e"}, [](const M& m) { return learns_energy(m) || m.critic != CriticKind::none; }},
      {{"stages"}, learns_ratios},
      {{"phase_iterations"}, [](const M& m) { return m.first_phase > 0.0 || learns_ratios(m); }},
      {{"sigma_vae"},
       [](const M& m) { return m.encoder == EncoderKind::gaussian && m.prior != PriorKind::second_stage; }},
      {{"latent_l2", "filter_l2", "components"}, [](const M& m) { return m.prior == PriorKind::mixture; }},
      {{"mlp_width", "lr_2"}, [](const M& m) { return m.prior == PriorKind::second_stage; }},
      {{"gradient_penalty", "g_every"}, [](const M& m) { return m.critic == CriticKind::energy; }},
      {{"scored"}, [](const M& m) { return m.critic == CriticKind::pairs; }},
  };
  return all;
}

bool is_one_of(std::string_view name, const std::vector<std::string_view>& names) {
  return std::ranges::find(names, name) != names.end();
}

bool has_part_in_method(std::string_view name, const MethodParts& method) {
  for (const Rule& rule : rules()) {
    if (is_one_of(name, rule.keys)) return rule.applies(method);
  }
  return true;
}

}  // namespace

bool has_part(const ConfigKey& key, const Config& config) {
  const std::string_view name = key.name, group = key.group;
  const Trains trains = find_preset(config.preset).trains;
  const MethodParts& method = method_parts(config.method);
  if (trains == Trains::model)
    return group != "inversion" && name != "lr_c" && has_part_in_method(name, method);
  if (group == "encoder" || group == "critic" || group == "divergence" ||
      is_one_of(name, {"diagnose_every", "grid_every", "eval_metrics", "inception", "classifier"}))
    return trains == Trains::autoencoder && name == "latent_l2";
  if (trains == Trains::inversion) {
    return is_one_of(name, {"phase_iterations", "posterior_steps"}) ||
           (!is_one_of(name, {"start", "posterior_step_size", "lr_g", "lr_c", "ngf", "nif", "width"}) &&
            has_part_in_method(name, method));
  }
  if (trains == Trains::autoencoder && is_one_of(name, {"nz", "ngf", "nif"})) return true;
  if (name.starts_with("lr_") && !name.starts_with("lr_decay") && name != "lr_min")
    return name == (trains == Trains::classifier ? "lr_c" : "lr_g");
  return !is_one_of(group, {"method", "model", "chains", "sampler", "inversion"});
}

}  // namespace damc
