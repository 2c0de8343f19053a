/// `damc apply`: one piece of a model on given arrays, without any randomness, for comparison with other
/// programs.

#include <fmt/ranges.h>
#include <algorithm>
#include <functional>

#include "damc/chains/langevin.h"
#include "damc/checkpoint.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/io/npy.h"
#include "tensor/ops.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/screen.h"
#include "tools/shared_options.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

struct ApplyOptions {
  explicit ApplyOptions(CLI::App& command) : config(command) {}

  ConfigOptions config;
  std::string what, weights, out, dtype = "f32";
  std::vector<std::string> inputs;  ///< NAME=F.npy
  std::optional<std::int64_t> steps;
};

/// What a piece works with: networks made from the weights on demand, inputs by name.
class Setting {
 public:
  Setting(const ApplyOptions& options, const Config& configuration)
      : config(configuration),
        images(architecture(config.architecture)),
        device_(parse_device(config.device)),
        dtype_(options.dtype == "f64" ? Dtype::f64 : Dtype::f32),
        random_(make_generator(config, Stream::init, device_)),
        precision_(config.precision),
        init_(random_, dtype_, products_of(precision_, device_)),
        file_(options.weights),
        weights_(read_checkpoint(file_).tensors) {}

  std::unique_ptr<GeneratorNet> generator() {
    return load("G.", std::make_unique<GeneratorNet>(images, config.nz, config.ngf, init_, precision_));
  }
  std::unique_ptr<EnergyNet> energy() {
    return load("E.", std::make_unique<EnergyNet>(config.nz, config.ndf, init_));
  }
  std::unique_ptr<EncoderNet> encoder() {
    return load("Q.encoder.",
                std::make_unique<EncoderNet>(images, config.nif, config.nemb, init_, precision_));
  }
  std::unique_ptr<Denoiser> denoiser() {
    return load("Q.p.", std::make_unique<Denoiser>(config.nz, config.nemb, denoiser_widths(config), init_));
  }

  /// Reads an input and keeps it under its name, once its shape is found to be right.
  void read_input(const std::string& name, const fs::path& path);
  const Tensor& operator[](const std::string& name) const { return inputs_.at(name); }

  const Config config;
  const Architecture& images;
  std::int64_t steps = 0;  ///< of a chain

 private:
  template <class Net>
  std::unique_ptr<Net> load(const std::string& prefix, std::unique_ptr<Net> net) {
    try {
      net->load_state_dict(weights_, prefix);
    } catch (const UserError& error) {
      throw of_weights(file_, error);
    }
    return net;
  }

  Device device_;
  Dtype dtype_;
  Generator random_;
  Precision precision_;
  Init init_;
  fs::path file_;
  StateDict weights_;
  std::map<std::string, Tensor> inputs_;
};

/// The shape of one sample of an input, and how it is called.
std::pair<Shape, const char*> sample_shape(const Setting& setting, const std::string& name) {
  const std::int64_t size = setting.images.size;
  if (name == "x") return {{size, size, setting.images.channels}, "N, height, width, channels"};
  if (name == "xemb") return {{setting.config.nemb}, "N, nemb"};
  if (name == "logsnr") return {{}, "N"};
  return {{setting.config.nz}, "N, nz"};
}

void Setting::read_input(const std::string& name, const fs::path& path) {
  const Tensor value = read_array(path, dtype_);
  const auto [sample, meaning] = sample_shape(*this, name);
  // Every input has as many samples as the first one.
  const std::int64_t given = value.ndim() > 0 ? value.size(0) : 0;
  Shape expected = {inputs_.empty() ? std::max<std::int64_t>(given, 1) : inputs_.begin()->second.size(0)};
  for (const std::int64_t size : sample) expected.push_back(size);
  if (value.shape() != expected) {
    user_error(fmt::format("input {} ('{}') has shape {}, expected {} ({})", name, path.string(),
                           value.shape().str(), expected.str(), meaning),
               "all inputs have the same N; the other sizes are those of the preset and of --set");
  }
  inputs_[name] = value.to(device_);
}

/// A reverse chain of the sampler without noise.
Tensor apply_sampler(Setting& setting) {
  const AncestralOptions options = amortizer_options(setting.config).sampling;
  if (options.guidance != 0.0) {
    user_error(fmt::format("guidance = {} is not without randomness", options.guidance),
               "its unconditional embedding is noise; leave guidance at 0");
  }
  const Tensor xemb = setting.encoder()->forward(setting["x"]).value();
  return ancestral_sample(*setting.denoiser(), setting["zT"], xemb, {}, options, nullptr);
}

Tensor apply_posterior_chain(Setting& setting) {
  const Config& c = setting.config;
  const auto G = setting.generator();
  const auto E = setting.energy();
  const Likelihood likelihood(*G, c.sigma);
  const EnergyPrior prior({&*E});
  return langevin(Posterior(likelihood, prior, setting["x"]), setting["z"],
                  {setting.steps, c.posterior_step_size}, nullptr);
}

Tensor apply_prior_chain(Setting& setting) {
  const auto E = setting.energy();
  return langevin(EnergyPrior({&*E}), setting["z"], {setting.steps, setting.config.prior_step_size}, nullptr);
}

/// One thing that can be applied.
struct Piece {
  std::string name;
  std::vector<std::string> inputs;
  std::function<Tensor(Setting&)> apply;
  std::int64_t Config::*steps = nullptr;  ///< default of --steps; null: it has none
};

const std::vector<Piece>& pieces() {
  static const std::vector<Piece> all = {
      {"generator", {"z"}, [](Setting& s) { return s.generator()->forward(s["z"]).value(); }},
      {"energy", {"z"}, [](Setting& s) { return s.energy()->forward(s["z"]).value().reshape({-1}); }},
      {"encoder", {"x"}, [](Setting& s) { return s.encoder()->forward(s["x"]).value(); }},
      {"denoiser",
       {"z", "logsnr", "xemb"},
       [](Setting& s) { return s.denoiser()->forward(s["z"], s["logsnr"], s["xemb"]).value(); }},
      {"sampler", {"x", "zT"}, apply_sampler},
      {"posterior-chain", {"z", "x"}, apply_posterior_chain, &Config::posterior_steps},
      {"prior-chain", {"z"}, apply_prior_chain, &Config::prior_steps},
  };
  return all;
}

const Piece& find_piece(const std::string& name) {
  const auto found =
      std::find_if(pieces().begin(), pieces().end(), [&](const Piece& piece) { return piece.name == name; });
  if (found != pieces().end()) return *found;
  std::vector<std::string> known;
  for (const Piece& piece : pieces()) known.push_back(piece.name);
  user_error(fmt::format("there is no piece '{}' to apply", name),
             did_you_mean(name, known) + fmt::format("choose one of {}", fmt::join(known, ", ")));
}

/// The files of a piece's inputs, in the order of piece.inputs.
std::vector<fs::path> input_files(const Piece& piece, const std::vector<std::string>& given) {
  const std::string hint =
      fmt::format("{} takes --in {}=F.npy", piece.name, fmt::join(piece.inputs, "=F.npy --in "));
  std::map<std::string, fs::path> files;
  for (const std::string& text : given) {
    const auto [name, file] = split_assignment("--in", text);
    if (std::find(piece.inputs.begin(), piece.inputs.end(), name) == piece.inputs.end()) {
      user_error(fmt::format("{} has no input '{}'", piece.name, name), hint);
    }
    if (file.empty()) user_error(fmt::format("--in {} names no file", text), hint);
    if (!files.emplace(name, file).second) user_error(fmt::format("input {} is given twice", name), hint);
  }
  std::vector<fs::path> ordered;
  for (const std::string& name : piece.inputs) {
    if (!files.contains(name)) user_error(fmt::format("input {} is missing", name), hint);
    ordered.push_back(files[name]);
  }
  return ordered;
}

void apply(const ApplyOptions& options) {
  const Piece& piece = find_piece(options.what);
  const std::vector<fs::path> files = input_files(piece, options.inputs);
  if (options.steps && !piece.steps) {
    user_error(fmt::format("{} has no --steps", piece.name), "only posterior-chain and prior-chain have");
  }
  const Config config = options.config.build();  // once: it may come through a pipe
  if (options.dtype == "f64" && config.precision != Precision::fp32) {
    user_error("--dtype f64 with a precision for f32", "leave out one of --dtype and --precision");
  }
  check_output_file("--out", options.out, {".npy"});
  Setting setting(options, config);
  note_emulation(setting.config);
  for (std::size_t i = 0; i < files.size(); ++i) setting.read_input(piece.inputs[i], files[i]);
  if (piece.steps) setting.steps = options.steps.value_or(setting.config.*piece.steps);
  const Tensor result = piece.apply(setting);
  write_npy(options.out, result);
  const auto tell = is_standard_output(options.out) ? show_aside : show;
  tell(fmt::format("{}: {} {}\n", escaped(options.out), name(result.dtype()), result.shape().str()));
}

}  // namespace

void add_apply_command(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("apply", "Apply one piece of a model to given arrays, without randomness");
  auto options = std::make_shared<ApplyOptions>(*command);
  std::string help = "the piece and its inputs:";
  for (const Piece& piece : pieces())
    help += fmt::format(" {} ({})", piece.name, fmt::join(piece.inputs, ", "));
  command->add_option("what", options->what, help)->type_name("WHAT")->required();
  command
      ->add_option("--weights", options->weights,
                   "safetensors or PyTorch's, with the authors' names under G., E. and Q. (or G_state_dict "
                   "..); only what WHAT "
                   "needs has to be there")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--in", options->inputs,
                   "an input array: z, zT [N, nz]; x [N, H, W, C] in [-1, 1]; logsnr [N]; xemb [N, nemb]")
      ->type_name("NAME=F.npy")
      ->required();
  command->add_option("--out", options->out, "where the result goes")->type_name("F.npy")->required();
  command->add_option("--steps", options->steps, "Langevin steps of a chain (default: the preset's)")
      ->type_name("N")
      ->check(whole_number(0, 1'000'000'000));
  command->add_option("--dtype", options->dtype, "arithmetic")
      ->check(one_of({"f32", "f64"}))
      ->capture_default_str();
  options->config.add_flag("device");
  options->config.add_flag("precision");
  command->callback([options] { apply(*options); });
}

}  // namespace damc
