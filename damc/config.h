/// Every hyper-parameter in one place: presets, TOML files and --set key=value all go through this table.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "damc/choices.h"
#include "damc/precision.h"
#include "damc/presets.h"

namespace damc {

/// Defaults are those of the SVHN experiment; presets state what differs.
struct Config {
  std::string preset = "svhn";
  std::string architecture =
      "svhn";  ///< kind of images: layers of G and the encoder, and the reader; set by the preset

  // Method
  std::string method = "damc";
  std::int64_t phase_iterations = 0, stages = 4;

  // Model
  std::int64_t layers = 1, nz = 100, ngf = 64, nif = 64, nemb = 1024, ndf = 200;
  double width = 1.0;
  std::int64_t denoiser_width = 0;

  // Learning run
  std::int64_t batch = 128, batch_gpu = 0, iterations = 200000, seed = 1;

  // Langevin chains
  Start start = Start::sampler;
  double sigma = 0.1;
  std::int64_t posterior_steps = 30;
  double posterior_step_size = 0.1;
  std::int64_t prior_steps = 60;
  double prior_step_size = 0.4;
  bool prior_noise_starts = true;
  std::int64_t test_posterior_steps = 10, sample_prior_steps = 100;
  std::string test_start = "own";
  double sample_prior_step_size = 0.4;
  double energy_l2 = 0.0;

  // Encoders
  double sigma_vae = 0.7071067811865476;
  double latent_l2 = 0.096, filter_l2 = 0.0123;
  std::int64_t components = 10, mlp_width = 1024;

  // Critics
  double gradient_penalty = 100.0 / 784.0;
  std::int64_t g_every = 1;
  std::string scored = "reconstruction";

  // GAN inversion
  std::string generator, encoder, vgg;  ///< files of weights
  std::int64_t warmup_steps = 0;
  double lr_w = 0.01;

  // Sampler
  std::int64_t diffusion_steps = 100;
  double logsnr_min = -5.1, logsnr_max = 9.8, gamma = 1.0;
  Solver solver = Solver::ancestral;
  std::int64_t solver_steps = 0;
  double eta = 0.0;
  Unconditional uncond = Unconditional::noise;
  double p_uncond = 0.2;
  bool split_losses = false;
  double guidance = 0.0;

  // Optimisation
  double lr_g = 2e-4, lr_e = 1e-4, lr_q = 2e-4, lr_c = 1e-3, lr_2 = 1e-4, weight_decay = 1e-4, beta1 = 0.5,
         beta2 = 0.999, grad_clip = 100.0;
  double lr_decay = 0.99;
  std::int64_t lr_decay_every = 1000;
  double lr_min = 1e-5;
  std::int64_t q_updates = 6;
  double ema_rho = 0.005;
  std::int64_t ema_every = 10;

  // Data
  std::string data;  ///< folder of the data set
  std::int64_t holdout = -1;
  bool flip = true;

  // Output
  std::int64_t log_every = 50, diagnose_every = 250, grid_every = 5000, state_every = 5000, eval_every = 0,
               keep_models = 0;
  std::string eval_metrics, inception, classifier;
  std::int64_t eval_samples = 0;

  // Divergence
  OnNan on_nan = OnNan::stop;
  std::int64_t on_nan_retries = 3;

  // Machine
  Precision precision = Precision::fp32;
  std::string device = "cpu";
};

/// Steps in which z is drawn.
inline std::int64_t sampling_steps(const Config& c) {
  return c.solver_steps > 0 ? c.solver_steps : c.diffusion_steps;
}

/// One key: what it is, its unit, and the values it may take.
struct ConfigKey {
  using Member = std::variant<std::int64_t Config::*, double Config::*, bool Config::*, std::string Config::*,
                              Precision Config::*, Solver Config::*, Unconditional Config::*, OnNan Config::*,
                              Start Config::*>;
  const char* group;
  const char* name;
  Member member;
  const char* help;
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  const char* choices = "";  ///< "a|b" for texts, and for enumerations the names of their values in order
};

/// Whether a run keeps a key's value for life: it shapes the networks, or chooses what they learn from.
bool is_fixed(const ConfigKey& key);

/// All keys, in the order they are printed.
const std::vector<ConfigKey>& config_keys();

/// A key whose value differs between two configurations, and its values as --set takes them.
struct ConfigChange {
  const ConfigKey* key;
  std::string before, after;
};

/// All of them, in the order of config_keys().
std::vector<ConfigChange> changes(const Config& before, const Config& after);

/// A configuration under construction: later values win, and dependent defaults follow what was set.
class ConfigBuilder {
 public:
  /// Throws UserError for an unknown preset.
  explicit ConfigBuilder(const std::string& preset);
  /// Begins with what to_toml wrote into a file. Throws UserError for a damaged one.
  static ConfigBuilder from_file(const std::filesystem::path& file);
  /// The same for its text; errors call it `source`.
  static ConfigBuilder from_text(const std::string& text, const std::filesystem::path& source);

  /// Sets one key from text. Throws UserError for an unknown key (naming the nearest), or a value that does
  /// not parse or is out of range.
  void set(const std::string& key, const std::string& value);
  /// Overlays a flat TOML file. Throws UserError with the file and line, for another preset as well.
  void overlay(const std::filesystem::path& file);
  const std::string& preset() const { return config_.preset; }
  /// The result. Throws UserError for values that do not go together.
  Config finish() const;

 private:
  Config config_;
  std::set<std::string> set_;  // keys that were set: no dependent default changes them
};

/// A preset as it is. Throws UserError for an unknown name.
Config preset_config(const std::string& name);

/// The configuration as TOML, grouped and commented; reading it back gives the same values.
std::string to_toml(const Config& config);

/// Reads what to_toml wrote. Throws UserError for a damaged file.
Config read_config(const std::filesystem::path& file);
/// One key's value as --set takes it.
std::string plain_text(const Config& config, const ConfigKey& key);
/// The same as in TOML.
std::string value_text(const Config& config, const ConfigKey& key);

}  // namespace damc
