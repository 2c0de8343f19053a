#include "damc/presets.h"

#include <algorithm>

#include "tensor/error.h"
#include "tensor/text.h"

namespace damc {
namespace {

template <class Row>
std::vector<std::string> names_of(const std::vector<Row>& rows) {
  std::vector<std::string> names;
  for (const Row& row : rows) names.push_back(row.name);
  return names;
}

KeyValues with(KeyValues keys, const KeyValues& more) {
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

template <class Row>
const Row& find_row(const std::vector<Row>& rows, const char* what, const std::string& name) {
  const auto found = std::ranges::find(rows, name, &Row::name);
  if (found != rows.end()) return *found;
  const std::vector<std::string> names = names_of(rows);
  user_error(fmt::format("unknown {} '{}'", what, name),
             did_you_mean(name, names) + fmt::format("choose one of {}", fmt::join(names, ", ")));
}

/// Of GAN inversion (Section 5.4): W+ of 14 x 512 numbers, which are the sampler's condition, too. Iterations, and the
/// number of posterior steps in evaluations, are the authors' code's or ours where the paper has none.
KeyValues inversion_keys() {
  return {{"nz", "7168"},
          {"nemb", "7168"},
          {"ndf", "512"},
          {"denoiser_width", "1024"},
          {"batch", "64"},
          {"iterations", "7000"},
          {"phase_iterations", "5000"},
          {"warmup_steps", "100"},
          {"sigma", "1.0"},
          {"test_posterior_steps", "100"},
          {"energy_l2", "1.0"},
          {"lr_q", "1e-4"},
          {"lr_e", "5e-4"},
          {"state_every", "100"},
          {"keep_models", "2"}};
}

}  // namespace

const std::vector<Preset>& presets() {
  const KeyValues mnist = {{"flip", "false"},
                           {"latent_l2", "0.0392"},
                           {"filter_l2", "0.00031"},
                           {"split_losses", "true"},
                           {"weight_decay", "0.0"}};
  const KeyValues small_mnist = with(mnist, {{"ngf", "8"},
                                             {"nif", "8"},
                                             {"nemb", "128"},
                                             {"width", "0.5"},
                                             {"batch", "64"},
                                             {"lr_g", "1e-3"},
                                             {"lr_q", "1e-3"},
                                             {"lr_e", "2e-4"},
                                             {"sigma", "0.3"},
                                             {"posterior_steps", "15"},
                                             {"ema_rho", "0.1"}});
  static const std::vector<Preset> rows = {
      {"svhn", "svhn", {}},
      {"celeba64", "celeba64", {{"ngf", "128"}, {"latent_l2", "0.0768"}, {"filter_l2", "0.0049"}}},
      {"cifar10", "cifar10", {{"nz", "128"}, {"ngf", "128"}, {"sample_prior_step_size", "1.6"}}},
      {"celebahq", "celebahq", {{"nz", "128"}, {"ngf", "128"}, {"sigma", "1.0"}}},
      {"mnist-anomaly", "mnist",
       with(mnist, {{"prior_noise_starts", "false"},
                    {"nz", "8"},
                    {"ngf", "128"},
                    {"nif", "128"},
                    {"lr_g", "1e-4"},
                    {"lr_q", "1e-4"},
                    {"lr_e", "5e-5"},
                    {"holdout", "1"},
                    {"eval_every", "500"}})},
      {"mnist-quick", "mnist",
       with(small_mnist, {{"nz", "16"},
                          {"iterations", "500"},
                          {"log_every", "25"},
                          {"grid_every", "250"},
                          {"state_every", "250"}})},
      // What methods share, stated for all of them; what makes a method (its start, phases, penalties) stays its own.
      {"mnist-compare", "mnist",
       with(small_mnist, {{"nz", "8"},
                          {"iterations", "2000"},
                          {"grad_clip", "100"},
                          {"sigma_vae", "0.3"},
                          {"posterior_step_size", "0.1"},
                          {"sample_prior_steps", "60"},
                          {"ema_every", "10"},
                          {"mlp_width", "256"},
                          {"holdout", "9"},
                          {"log_every", "100"},
                          {"grid_every", "0"},
                          {"state_every", "500"}}),
       Trains::model, true},
      {kClassifierPreset,
       "mnist",
       {{"flip", "false"},
        {"batch", "128"},
        {"iterations", "1500"},
        {"beta1", "0.9"},
        {"lr_decay", "0.8"},
        {"lr_decay_every", "100"},
        {"log_every", "100"},
        {"state_every", "500"},
        {"eval_every", "500"}},
       Trains::classifier},
      {"invert-mini-networks",
       "mnist",
       {{"flip", "false"},
        {"nz", "128"},
        {"ngf", "12"},
        {"nif", "12"},
        {"latent_l2", "0.05"},
        {"batch", "64"},
        {"iterations", "800"},
        {"lr_g", "2e-3"},
        {"beta1", "0.5"},
        {"lr_decay", "0.8"},
        {"lr_decay_every", "80"},
        {"log_every", "50"},
        {"state_every", "400"},
        {"eval_every", "400"},
        {"eval_samples", "500"}},
       Trains::autoencoder},
      {"invert-mini",
       "mnist",
       {{"flip", "false"},
        {"nz", "128"},
        {"nemb", "128"},
        {"ndf", "128"},
        {"denoiser_width", "256"},
        {"batch", "64"},
        {"iterations", "1080"},
        {"phase_iterations", "1000"},
        {"sigma", "0.3"},
        {"posterior_steps", "10"},
        {"test_posterior_steps", "30"},
        {"energy_l2", "1.0"},
        {"lr_q", "1e-3"},
        {"lr_e", "5e-4"},
        {"lr_decay", "0.8"},
        {"lr_decay_every", "150"},
        {"ema_rho", "0.1"},
        {"log_every", "25"},
        {"state_every", "250"},
        {"eval_every", "540"},
        {"eval_samples", "50"}},
       Trains::inversion},
      {"invert-ffhq", "ffhq", inversion_keys(), Trains::inversion},
      {"invert-tower", "lsun", inversion_keys(), Trains::inversion},
  };
  return rows;
}

std::vector<std::string> model_preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) {
    if (preset.trains == Trains::model) names.push_back(preset.name);
  }
  return names;
}

std::vector<std::string> preset_names() { return names_of(presets()); }

const Preset& find_preset(const std::string& name) { return find_row(presets(), "preset", name); }

const std::vector<MethodParts>& methods() {
  using P = PriorKind;
  using E = EncoderKind;
  // Values are those of the authors' own scripts for these ablations, of lebm and sri those of their releases.
  static const std::vector<MethodParts> rows = {
      {"damc",
       "energy prior; chains start from a sampler that is fitted to their ends (Algorithm 1)",
       P::energy,
       E::none,
       true,
       {}},
      {"damc-g", "the same with N(0, I) as prior", P::normal, E::none, true, {{"weight_decay", "0.01"}}},
      {"sr-lebm",
       "energy prior; short chains from N(0, I), no sampler",
       P::energy,
       E::none,
       false,
       {{"start", "noise"}, {"energy_l2", "0.001"}, {"test_posterior_steps", "100"}}},
      {"lebm",
       "the same as it was published, with its own numbers",
       P::energy,
       E::none,
       false,
       {{"start", "noise"},
        {"posterior_steps", "20"},
        {"sigma", "0.3"},
        {"test_posterior_steps", "100"},
        {"sample_prior_steps", "60"},
        {"lr_g", "1e-4"},
        {"lr_e", "2e-5"},
        {"grad_clip", "0"},
        {"batch", "100"}}},
      {"abp",
       "N(0, I); the chain of an image goes on where its last one ended",
       P::normal,
       E::none,
       false,
       {{"start", "pool"}, {"test_posterior_steps", "100"}}},
      {"sri",
       "N(0, I); short chains from N(0, I)",
       P::normal,
       E::none,
       false,
       {{"start", "noise"},
        {"posterior_steps", "25"},
        {"posterior_step_size", "0.05"},
        {"sigma", "0.15"},
        {"test_posterior_steps", "100"},
        {"lr_g", "8e-5"},
        {"grad_clip", "0"},
        {"batch", "100"}}},
      {"ace",
       "energies learned in stages, each as a ratio of densities; short chains from N(0, I)",
       P::ratios,
       E::none,
       false,
       {{"start", "noise"}, {"stages", "4"}, {"test_posterior_steps", "100"}}},
      {"nalr",
       "energy prior with persistent chains; the sampler is fitted to them afterwards",
       P::energy,
       E::none,
       true,
       {{"start", "pool"}, {"q_updates", "1"}, {"weight_decay", "0.01"}},
       0.125,
       true},
      {"ddpm-abp",
       "sri with a sampler beside it, from which no chain starts",
       P::normal,
       E::none,
       true,
       {{"start", "noise"}, {"weight_decay", "0.01"}}},
      {"vae", "N(0, I); a Gaussian encoder", P::normal, E::gaussian, false, {{"test_posterior_steps", "0"}}},
      {"ddpm-vae",
       "the same with a sampler beside it, fitted to the encoder's z",
       P::normal,
       E::gaussian,
       true,
       {}},
      {"vi-lebm",
       "energy prior; a Gaussian encoder",
       P::energy,
       E::gaussian,
       false,
       {{"test_posterior_steps", "0"}}},
      {"ncp-vae",
       "a VAE whose prior is corrected by an energy afterwards, a ratio of densities",
       P::ratios,
       E::gaussian,
       false,
       {{"stages", "1"}, {"test_posterior_steps", "0"}},
       0.8},
      {"two-stage-vae",
       "a VAE with learned noise, and another of its latent vectors afterwards",
       P::second_stage,
       E::gaussian,
       false,
       {{"test_posterior_steps", "0"}},
       2.0 / 3.0},
      {"rae",
       "an autoencoder with penalties, and a mixture of Gaussians fitted to its codes at the end",
       P::mixture,
       E::point,
       false,
       {{"test_posterior_steps", "0"}}},
      // Widths of z, batches, rates and Adam's numbers of the releases; networks, clipping and decay those of all methods.
      {"meg",
       "an energy of images, and a generator that it cannot tell from them; finds no z of an image",
       P::normal,
       E::none,
       false,
       {{"start", "noise"},
        {"nz", "128"},
        {"batch", "64"},
        {"lr_g", "1e-4"},
        {"lr_e", "1e-4"},
        {"beta2", "0.9"},
        {"g_every", "5"}},
       0.0,
       false,
       CriticKind::energy},
      {"bigan",
       "generator and encoder that a critic cannot tell by their pairs of image and z",
       P::normal,
       E::point,
       false,
       {{"nz", "200"}, {"batch", "100"}, {"lr_g", "1e-4"}, {"lr_e", "1e-4"}, {"test_posterior_steps", "0"}},
       0.0,
       false,
       CriticKind::pairs},
  };
  return rows;
}

std::vector<std::string> method_names() { return names_of(methods()); }

const MethodParts& method_parts(const std::string& name) { return find_row(methods(), "method", name); }

}  // namespace damc
