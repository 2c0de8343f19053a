#include "damc/config.h"

#include <fmt/ranges.h>
#include <toml++/toml.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/text.h"

namespace damc {
namespace {

constexpr double kHuge = 1e9;
constexpr std::int64_t kLayeredLatents = 416;  // LayeredGenerator's

const ConfigKey& find_key(const std::string& name) {
  const auto& keys = config_keys();
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& key) { return key.name == name; });
  if (found != keys.end()) return *found;
  std::vector<std::string> names;
  for (const ConfigKey& key : keys) names.emplace_back(key.name);
  user_error(fmt::format("unknown configuration key '{}'", name),
             did_you_mean(name, names) + "'damc train --help' lists all keys");
}

/// A bound as people write it: 1000000000 rather than 1e+09.
std::string plain(double bound) {
  return bound == std::floor(bound) ? fmt::format("{:.0f}", bound) : fmt::format("{}", bound);
}

template <class T>
T parse_number(const ConfigKey& key, const std::string& text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  const bool unheld = failure == std::errc::result_out_of_range;  // a number, but of no type that there is
  const bool is_zero = unheld && std::is_floating_point_v<T> && text.find('-', 1) != text.npos;  // 1e-400
  const bool beyond = unheld && !is_zero;
  if ((failure != std::errc{} && !unheld) || stop != end || std::isnan(static_cast<double>(value))) {
    user_error(fmt::format("'{}' is not a value for {} ({})", text, key.name, key.help),
               std::is_integral_v<T> ? "a whole number is needed" : "a number is needed");
  }
  if (beyond || !(static_cast<double>(value) >= key.least && static_cast<double>(value) <= key.most)) {
    const bool below = beyond ? text[0] == '-' : static_cast<double>(value) < key.least;
    user_error(fmt::format("{} = {} is out of range", key.name, text),
               below ? fmt::format("it must be at least {}", plain(key.least))
                     : fmt::format("it must be at most {}", plain(key.most)));
  }
  return value;
}

bool parse_bool(const ConfigKey& key, const std::string& text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  user_error(fmt::format("'{}' is not a value for {}", text, key.name), "use true or false");
}

/// The names of a key's choices.
std::vector<std::string> choices_of(const ConfigKey& key) {
  std::vector<std::string> names;
  std::istringstream list(key.choices);
  for (std::string name; std::getline(list, name, '|');) names.push_back(name);
  return names;
}

/// The number of a key's choice.
std::size_t parse_choice(const ConfigKey& key, const std::string& text) {
  const std::vector<std::string> names = choices_of(key);
  const auto found = std::ranges::find(names, text);
  if (found == names.end()) {
    user_error(fmt::format("'{}' is not a value for {}", text, key.name),
               fmt::format("it may be {}", key.choices));
  }
  return static_cast<std::size_t>(found - names.begin());
}

/// Throws UserError for a text that no configuration file can keep: TOML is UTF-8. File names may be anything.
void require_utf8(const std::string& text) {
  if (text.find('\0') != text.npos)
    user_error(fmt::format("'{}' has a character NUL in it", escaped(text)), "no file has such a name");
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t length = utf8_length(rest);
    if (length == 0)
      user_error(fmt::format("'{}' is not UTF-8, which a run's configuration has to be", text),
                 "rename the folder, or name a link to it: ln -s FOLDER NAME");
    rest.remove_prefix(length);
  }
}

std::string parse_text(const ConfigKey& key, const std::string& text) {
  require_utf8(text);
  if (*key.choices) parse_choice(key, text);
  return text;
}

void assign(Config& config, const ConfigKey& key, const std::string& text) {
  std::visit(
      [&](auto member) {
        auto& field = config.*member;
        using T = std::remove_cvref_t<decltype(field)>;
        if constexpr (std::is_same_v<T, bool>) {
          field = parse_bool(key, text);
        } else if constexpr (std::is_same_v<T, std::string>) {
          field = parse_text(key, text);
        } else if constexpr (std::is_enum_v<T>) {
          field = static_cast<T>(parse_choice(key, text));
        } else {
          field = parse_number<T>(key, text);
        }
      },
      key.member);
}

/// A TOML value as the text that --set would take.
std::string node_text(const toml::node& node, const std::filesystem::path& file, const std::string& key) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return fmt::format("{}", whole->get());
  if (const auto* real = node.as_floating_point()) return fmt::format("{}", real->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  user_error(fmt::format("{}:{}: '{}' is neither a number, a text nor true or false", file.string(),
                         node.source().begin.line, key),
             "the configuration is flat: key = value");
}

/// Sets what one line of a file says; a mistake is reported with its line.
void set_from(ConfigBuilder& builder, const std::string& name, const toml::node& node,
              const std::filesystem::path& file) {
  const std::string value = node_text(node, file, name);
  try {
    builder.set(name, value);
  } catch (const UserError& error) {
    throw UserError(fmt::format("{}:{}: {}", file.string(), node.source().begin.line, error.what()));
  }
}

/// A text as a TOML string.
std::string quoted(const std::string& text) {
  require_utf8(text);
  std::stringstream out;
  out << toml::value<std::string>(text);
  return out.str();
}

toml::table parse(const std::string& text, const std::filesystem::path& source) {
  try {
    return toml::parse(text, source.string());
  } catch (const toml::parse_error& error) {
    user_error(fmt::format("{}:{}: {}", source.string(), error.source().begin.line, error.description()),
               "the file is TOML, one 'key = value' per line");
  }
}

/// A file's text; it may be a pipe. No configuration is longer than a mebibyte.
std::string read_text(const std::filesystem::path& file) {
  std::error_code failure;
  if (std::filesystem::is_directory(file, failure)) {
    user_error(fmt::format("configuration file {} is a folder", file.string()), "give a TOML file in it");
  }
  std::string text((std::size_t{1} << 20) + 1, '\0');
  std::ifstream in(file, std::ios::binary);
  if (!in) cannot_read(fmt::format("cannot read configuration file {}", file.string()), errno);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) cannot_read(fmt::format("cannot read configuration file {}", file.string()), errno);
  if (in) user_error(fmt::format("configuration file {} is longer than 1 MiB", file.string()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

std::string preset_of(const toml::table& table) { return table["preset"].value_or(std::string()); }

void set_all(ConfigBuilder& builder, const toml::table& table, const std::filesystem::path& source) {
  for (const auto& [key, node] : table) {
    if (key.str() != "preset") set_from(builder, std::string(key.str()), node, source);
  }
}

}  // namespace

const std::vector<ConfigKey>& config_keys() {
  using C = Config;
  static const std::string method_choices = fmt::format("{}", fmt::join(method_names(), "|"));
  static const std::vector<ConfigKey> keys = {
      {"method", "method", &C::method, "how it learns; 'damc info' says what each is", 0, 0,
       method_choices.c_str()},
      {"method", "phase_iterations", &C::phase_iterations,
       "iterations of a phase, of methods that learn in several; 0: the method's share of them all. In GAN "
       "inversion: of the warm-up",
       0, kHuge},
      {"method", "stages", &C::stages, "energies that ace learns one after the other", 0, 100},
      {"model", "layers", &C::layers, "latent layers of the generator: 1, or 5 with nz = 416", 1, 5},
      {"model", "nz", &C::nz, "size of the latent vector z; even", 2, 1e5},
      {"model", "ngf", &C::ngf, "channels of the generator's narrowest hidden layer (Table S2)", 1, 4096},
      {"model", "nif", &C::nif, "channels of the encoder's first layer (Table S4)", 1, 4096},
      {"model", "nemb", &C::nemb, "size of the image embedding", 1, 65536},
      {"model", "ndf", &C::ndf, "hidden width of the energy network (Table S1)", 1, 65536},
      {"model", "width", &C::width, "factor on the denoiser's widths (Table S6's f)", 0.01, 64},
      {"model", "denoiser_width", &C::denoiser_width,
       "the denoiser's hidden width throughout, as in GAN inversion; 0: 128 and 256 times `width`", 0, 65536},
      {"run", "batch", &C::batch, "images per iteration", 1, 65536},
      {"run", "batch_gpu", &C::batch_gpu,
       "images at a time, which bounds the memory: a batch in pieces learns the same; 0: all", 0, 65536},
      {"run", "iterations", &C::iterations, "training iterations", 1, kHuge},
      {"run", "seed", &C::seed, "of initialisation, noise and order of the images", 0, 9e15},
      {"chains", "sigma", &C::sigma, "standard deviation of p(x given z)", 1e-6, kHuge},
      {"chains", "start", &C::start,
       "where posterior chains begin while training: at the sampler's samples, at N(0, I), or where the "
       "image's "
       "last one ended",
       0, 0, "sampler|noise|pool"},
      {"chains", "posterior_steps", &C::posterior_steps,
       "Langevin steps of the posterior chain while training", 0, kHuge},
      {"chains", "posterior_step_size", &C::posterior_step_size, "its step size s", 0, 100},
      {"chains", "prior_steps", &C::prior_steps, "Langevin steps of the prior chain while training", 0,
       kHuge},
      {"chains", "prior_step_size", &C::prior_step_size, "its step size s", 0, 100},
      {"chains", "prior_noise_starts", &C::prior_noise_starts,
       "start a second half of the prior chains from N(0, I)"},
      {"chains", "test_posterior_steps", &C::test_posterior_steps,
       "noise-free posterior steps when evaluating", 0, kHuge},
      {"chains", "test_start", &C::test_start,
       "where those begin: where the method has them (sampler, encoder, noise), or at N(0, I)", 0, 0,
       "own|noise"},
      {"chains", "sample_prior_steps", &C::sample_prior_steps,
       "prior steps when sampling from the energy prior", 0, kHuge},
      {"chains", "sample_prior_step_size", &C::sample_prior_step_size, "their step size s", 0, 100},
      {"chains", "energy_l2", &C::energy_l2, "weight of the energies' mean squares in E's loss", 0, 1e6},
      {"encoder", "sigma_vae", &C::sigma_vae, "standard deviation of p(x given z) of methods with an encoder",
       1e-6, kHuge},
      {"encoder", "latent_l2", &C::latent_l2, "weight of |z|^2 in rae's loss", 0, 1e6},
      {"encoder", "filter_l2", &C::filter_l2, "weight of the squares of G's weights in it", 0, 1e6},
      {"model", "components", &C::components, "Gaussians in rae's mixture", 1, 1000},
      {"model", "mlp_width", &C::mlp_width, "hidden width of two-stage-vae's second VAE", 1, 65536},
      {"critic", "gradient_penalty", &C::gradient_penalty,
       "weight of the energy's squared gradient at real images, of meg", 0, 1e6},
      {"critic", "g_every", &C::g_every, "iterations between updates of meg's generator", 1, kHuge},
      {"critic", "scored", &C::scored,
       "which image bigan's critic sees beside its code in the score of an anomaly", 0, 0,
       "reconstruction|image"},
      {"inversion", "generator", &C::generator, "file with the weights of StyleGAN, whose W+ are found"},
      {"inversion", "encoder", &C::encoder, "file with the weights of its in-domain encoder"},
      {"inversion", "vgg", &C::vgg,
       "file with the weights of VGG-16; empty: images are compared by pixels alone"},
      {"inversion", "warmup_steps", &C::warmup_steps,
       "steps of in-domain inversion that the warm-up's W+ are made by, from the encoder's; 0: those", 0,
       kHuge},
      {"inversion", "lr_w", &C::lr_w, "learning rate of Adam on W+, posterior_steps of it while training", 0,
       10},
      {"sampler", "diffusion_steps", &C::diffusion_steps, "steps of sampling, as published", 2, 100000},
      {"sampler", "logsnr_min", &C::logsnr_min, "log signal-to-noise ratio at t = 1", -20, 20},
      {"sampler", "logsnr_max", &C::logsnr_max, "log signal-to-noise ratio at t = 0", -20, 20},
      {"sampler", "gamma", &C::gamma, "variance of a reverse step: 1 large .. 0 small (Eq. 5)", 0, 1},
      {"sampler", "solver", &C::solver,
       "how z is drawn: ancestral sampling, or in fewer steps by DDIM or DPM-Solver++(2M)", 0, 0,
       "ancestral|ddim|dpm-solver++"},
      {"sampler", "solver_steps", &C::solver_steps, "its steps, at least 2; 0: diffusion_steps", 0, 100000},
      {"sampler", "eta", &C::eta, "share of the noise that ddim and dpm-solver++ add: 0 none .. 1", 0, 1},
      {"sampler", "uncond", &C::uncond,
       "unconditional embedding: fresh noise through an MLP, or a learned null token", 0, 0, "noise|null"},
      {"sampler", "p_uncond", &C::p_uncond,
       "probability of training an image unconditionally (not with split_losses)", 0, 1},
      {"sampler", "split_losses", &C::split_losses,
       "add an all-conditional and an all-unconditional loss instead of masking"},
      {"sampler", "guidance", &C::guidance, "classifier-free guidance weight w of q(z given x)", -1, 100},
      {"learning", "lr_g", &C::lr_g, "learning rate of the generator, and of an encoder beside it", 0, 10},
      {"learning", "lr_e", &C::lr_e, "learning rate of the energy network, or of a critic", 0, 10},
      {"learning", "lr_q", &C::lr_q, "learning rate of the sampler", 0, 10},
      {"learning", "lr_c", &C::lr_c, "learning rate of the classifier of preset mnist-classifier", 0, 10},
      {"learning", "lr_2", &C::lr_2, "learning rate of two-stage-vae's second VAE", 0, 10},
      {"learning", "weight_decay", &C::weight_decay, "of the sampler (AdamW)", 0, 10},
      {"learning", "beta1", &C::beta1, "Adam's decay of the mean", 0, 0.999999},
      {"learning", "beta2", &C::beta2, "Adam's decay of the mean square", 0, 0.999999},
      {"learning", "grad_clip", &C::grad_clip, "largest global gradient norm per network; 0: no clipping", 0,
       1e30},
      {"learning", "lr_decay", &C::lr_decay, "factor on the learning rates every lr_decay_every iterations",
       0, 1},
      {"learning", "lr_decay_every", &C::lr_decay_every, "iterations", 1, kHuge},
      {"learning", "lr_min", &C::lr_min, "learning rates do not fall below this", 0, 10},
      {"learning", "q_updates", &C::q_updates, "updates M of the sampler per iteration", 0, 10000},
      {"learning", "ema_rho", &C::ema_rho, "share of the sampler that enters the target sampler", 0, 1},
      {"learning", "ema_every", &C::ema_every, "iterations between the target sampler's moves", 1, kHuge},
      {"data", "data", &C::data, "folder of the data set"},
      {"data", "holdout", &C::holdout, "MNIST digit held out as anomaly; -1: none", -1, 9},
      {"data", "flip", &C::flip, "mirror half of the training images"},
      {"output", "log_every", &C::log_every, "iterations between lines of stats.jsonl", 1, kHuge},
      {"output", "diagnose_every", &C::diagnose_every,
       "iterations between diagnoses of the chains (stability, autocorrelation, R-hat, drift); 0: never", 0,
       kHuge},
      {"output", "grid_every", &C::grid_every, "iterations between image grids; 0: only at the end", 0,
       kHuge},
      {"output", "state_every", &C::state_every, "iterations between saved states; 0: only at the end", 0,
       kHuge},
      {"output", "eval_every", &C::eval_every, "iterations between evaluations; 0: never", 0, kHuge},
      {"output", "eval_metrics", &C::eval_metrics,
       "what they measure, as 'damc eval --metric', with commas; empty: mse, and with a holdout auprc"},
      {"output", "eval_samples", &C::eval_samples,
       "most test images, and generated ones, of an evaluation; 0: as many as 'damc eval' takes", 0, kHuge},
      {"output", "inception", &C::inception,
       "file with the weights of Inception-v3, for evaluations of fid, kid, precision and recall"},
      {"output", "classifier", &C::classifier,
       "run folder of a classifier, for evaluations of classifier-fd"},
      {"output", "keep_models", &C::keep_models, "saved weights that stay, the newest; 0: all", 0, kHuge},
      {"divergence", "on_nan", &C::on_nan,
       "when a loss is not finite: stop; or go back to the last state, take other noise, halve the learning "
       "rates",
       0, 0, "stop|rollback"},
      {"divergence", "on_nan_retries", &C::on_nan_retries, "rollbacks in a run before it stops", 0, 100},
      {"machine", "precision", &C::precision,
       "arithmetic: f32, tf32 (a GPU's; slow on a CPU) or bf16 (a GPU's, or a CPU's with AVX512-BF16)", 0, 0,
       "fp32|tf32|bf16"},
      {"machine", "device", &C::device, "cpu, cuda or cuda:N"},
  };
  return keys;
}

bool is_fixed(const ConfigKey& key) {
  const std::string_view name = key.name;
  const std::string_view group = key.group;
  return group == "model" || group == "method" || name == "uncond" || name == "start" || name == "holdout";
}

ConfigBuilder::ConfigBuilder(const std::string& preset) {
  const Preset& row = find_preset(preset);
  config_.preset = row.name;
  config_.architecture = row.images;
  for (const auto& [key, value] : row.keys) {
    assign(config_, find_key(key), value);
    if (row.like_for_like) set_.insert(key);
  }
}

Config preset_config(const std::string& name) { return ConfigBuilder(name).finish(); }

void ConfigBuilder::set(const std::string& name, const std::string& value) {
  const ConfigKey& key = find_key(name);
  assign(config_, key, value);
  set_.insert(name);
}

ConfigBuilder ConfigBuilder::from_text(const std::string& text, const std::filesystem::path& source) {
  const toml::table table = parse(text, source);
  const std::string preset = preset_of(table);
  if (preset.empty()) {
    user_error(
        fmt::format("{}: no preset", source.string()),
        "it needs a line preset = \"...\" as the config.toml of a run has, or --preset on the command line");
  }
  ConfigBuilder builder(preset);
  set_all(builder, table, source);
  return builder;
}

ConfigBuilder ConfigBuilder::from_file(const std::filesystem::path& file) {
  return from_text(read_text(file), file);
}

void ConfigBuilder::overlay(const std::filesystem::path& file) {
  const toml::table table = parse(read_text(file), file);
  if (const toml::node* preset = table.get("preset"); preset && preset_of(table) != config_.preset) {
    user_error(fmt::format("{}:{}: the file is for preset '{}', not for '{}'", file.string(),
                           preset->source().begin.line, preset_of(table), config_.preset),
               "leave out --preset, or that line of the file");
  }
  set_all(*this, table, file);
}

namespace {

/// Iterations of a phase where none are stated; 0: all are of one.
std::int64_t phase_length(const Config& c, const MethodParts& method) {
  const bool staged =
      method.prior == PriorKind::ratios && method.encoder == EncoderKind::none && c.stages > 0;
  const double share = staged ? 1.0 / static_cast<double>(c.stages) : method.first_phase;
  const auto length = static_cast<std::int64_t>(share * static_cast<double>(c.iterations));
  return share > 0.0 ? std::max<std::int64_t>(1, length) : 0;
}

/// Throws UserError for a generator of several layers that there is not.
void check_layers(const Config& c) {
  if (c.layers == 1) return;
  if (c.layers != 5) user_error(fmt::format("layers = {}: a generator has 1 or 5", c.layers));
  if (c.nz != kLayeredLatents)
    user_error(fmt::format("nz = {} with layers = 5", c.nz),
               fmt::format("five layers have {} latents", kLayeredLatents));
  if (c.precision == Precision::bf16) user_error("precision = bf16 with layers = 5", "use tf32");
}

/// Throws UserError for a batch that is not learned in such pieces.
void check_pieces(const Config& c, const MethodParts& method, bool is_model) {
  if (c.batch_gpu == 0) return;
  if (!is_model)
    user_error(fmt::format("batch_gpu = {} with preset {}", c.batch_gpu, c.preset),
               "it learns from whole batches: leave batch_gpu out, or take a smaller batch");
  if (method.critic != CriticKind::none) {
    user_error(
        fmt::format("batch_gpu = {} with method {}, which learns from whole batches", c.batch_gpu, c.method),
        "take a smaller batch");
  }
  if (c.batch_gpu < c.batch && (c.batch % c.batch_gpu != 0 || c.batch_gpu % 4 != 0))
    user_error(fmt::format("batch_gpu = {} of a batch of {}", c.batch_gpu, c.batch),
               "it has to divide the batch, and be a multiple of 4");
}

/// Throws UserError for a sampler whose numbers do not go together.
void check_sampler(const Config& c) {
  if (c.logsnr_min >= c.logsnr_max)
    user_error(fmt::format("logsnr_min {} is not below logsnr_max {}", c.logsnr_min, c.logsnr_max));
  if (c.solver_steps == 1)
    user_error("solver_steps = 1: the first step begins at t = 1, the last one at t = 0", "take 2 or more");
  if (c.eta > 0.0 && c.solver == Solver::ancestral) {
    user_error(fmt::format("eta = {} with solver ancestral, whose noise is set by gamma", c.eta),
               "choose ddim or dpm-solver++, or leave eta out");
  }
  if (c.nz % 2 != 0)
    user_error(fmt::format("nz = {} is odd", c.nz), "the Fourier features need an even number");
}

}  // namespace

Config ConfigBuilder::finish() const {
  Config c = config_;
  const MethodParts& method = method_parts(c.method);
  const bool is_model = find_preset(c.preset).trains == Trains::model;
  for (const auto& [key, value] : method.keys) {
    if (is_model && !set_.contains(key)) assign(c, find_key(key), value);
  }
  if (method.prior == PriorKind::ratios && method.encoder != EncoderKind::none) c.stages = 1;
  if (c.phase_iterations == 0) c.phase_iterations = phase_length(c, method);
  if (c.layers == 5 && !set_.contains("nz")) c.nz = kLayeredLatents;
  // The authors' anomaly runs: sigma 0.1 with digit 1 held out, 1.0 with any other.
  if (c.preset == "mnist-anomaly" && !set_.contains("sigma")) c.sigma = c.holdout == 1 ? 0.1 : 1.0;
  check_layers(c);
  if (!is_model && c.precision == Precision::bf16)
    user_error(fmt::format("precision = bf16 with preset {}", c.preset), "use tf32");
  if (is_model && c.start == Start::sampler && !method.sampler && method.encoder == EncoderKind::none)
    user_error(fmt::format("start = sampler: method {} has no sampler", c.method), "use noise or pool");
  check_pieces(c, method, is_model);
  check_sampler(c);
  if (c.holdout >= 0 && c.architecture != "mnist") {
    user_error(fmt::format("holdout = {} with preset {}", c.holdout, c.preset),
               "only MNIST presets hold a digit out");
  }
  return c;
}

std::string plain_text(const Config& config, const ConfigKey& key) {
  return std::visit(
      [&](auto member) -> std::string {
        const auto& value = config.*member;
        using T = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return value;
        } else if constexpr (std::is_enum_v<T>) {
          return choices_of(key).at(static_cast<std::size_t>(value));
        } else if constexpr (std::is_same_v<T, bool>) {
          return value ? "true" : "false";
        } else {
          std::string text = fmt::format("{}", value);
          if (std::is_same_v<T, double> && text.find_first_of(".en") == std::string::npos) text += ".0";
          return text;
        }
      },
      key.member);
}

std::string value_text(const Config& config, const ConfigKey& key) {
  const std::string text = plain_text(config, key);
  return *key.choices || std::holds_alternative<std::string Config::*>(key.member) ? quoted(text) : text;
}

std::vector<ConfigChange> changes(const Config& before, const Config& after) {
  std::vector<ConfigChange> found;
  for (const ConfigKey& key : config_keys()) {
    ConfigChange change{&key, plain_text(before, key), plain_text(after, key)};
    if (change.before != change.after) found.push_back(std::move(change));
  }
  return found;
}

std::string to_toml(const Config& config) {
  std::string text = fmt::format("preset = \"{}\"\n", config.preset);
  std::string group;
  for (const ConfigKey& key : config_keys()) {
    if (group != key.group) text += fmt::format("\n# {}\n", group = key.group);
    const std::string line = fmt::format("{} = {}", key.name, value_text(config, key));
    text += fmt::format("{:<36} # {}\n", line, key.help);
  }
  return text;
}

Config read_config(const std::filesystem::path& file) { return ConfigBuilder::from_file(file).finish(); }
}  // namespace damc
