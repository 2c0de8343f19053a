#include "tools/shared_options.h"

#include <fmt/ranges.h>
#include <algorithm>

#include "damc/key_parts.h"
#include "data/dataset.h"
#include "data/file_tree.h"
#include "data/image_io.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/io/npy.h"
#include "tensor/processes/processes.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/screen.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

/// All configuration keys with the default of the first preset, for --help.
std::string key_reference() {
  const Config defaults = preset_config(preset_names()[0]);
  std::string text =
      fmt::format("Keys for --set and --config, with the values of preset {}:\n", defaults.preset);
  for (const ConfigKey& key : config_keys()) {
    text += fmt::format("  {:<24}{:<10}{}{}\n", key.name, value_text(defaults, key), key.help,
                        *key.choices ? fmt::format(" ({})", key.choices) : "");
  }
  return text;
}

std::string option_name(std::string key) {
  std::ranges::replace(key, '_', '-');
  return "--" + key;
}

/// The option --prior-steps for the key "prior_steps", which adds its value to `values`.
void add_key_option(CLI::App& command, const std::string& key, KeyValues& values,
                    const std::string& remark = "") {
  const auto& keys = config_keys();
  const auto known =
      std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& k) { return k.name == key; });
  ENSURE(known != keys.end(), "no configuration key '{}'", key);
  command
      .add_option_function<std::string>(
          option_name(key), [&values, key](const std::string& text) { values.emplace_back(key, text); },
          known->help + (*known->choices ? fmt::format(" ({})", known->choices) : "") + remark)
      ->type_name("VALUE");
}

/// Throws UserError for the first of options that have no effect, if there are any.
void refuse_first(const KeyValues& given, const std::string& reason) {
  if (given.empty()) return;
  const auto& [key, value] = given[0];
  user_error(fmt::format("{} {}: {}", option_name(key), value, reason), "leave it out");
}

}  // namespace

ConfigOptions::ConfigOptions(CLI::App& command) : command_(command) {
  command.add_option("--preset", preset_, fmt::format("experiment: {}", fmt::join(preset_names(), ", ")))
      ->type_name("P");
  command
      .add_option("--config", file_,
                  "TOML file of keys to change in the preset, such as the config.toml of a run")
      ->type_name("FILE");
  command
      .add_option("--set", settings_,
                  "change one key, whatever --config says; may be repeated: the last value of a key counts")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.footer(key_reference);
}

void ConfigOptions::add_flag(const std::string& key) { add_key_option(command_, key, flags_); }

bool ConfigOptions::has_flag(const std::string& key) const {
  return std::ranges::find(flags_, key, &KeyValues::value_type::first) != flags_.end();
}

Config ConfigOptions::build() const {
  if (preset_.empty() && file_.empty()) {
    user_error("no preset given", fmt::format("add --preset and one of {}", fmt::join(preset_names(), ", ")));
  }
  ConfigBuilder builder = preset_.empty() ? ConfigBuilder::from_file(file_) : ConfigBuilder(preset_);
  if (!preset_.empty() && !file_.empty()) builder.overlay(file_);
  set(builder);
  return builder.finish();
}

void ConfigOptions::overlay(ConfigBuilder& builder) const {
  if (!preset_.empty() && preset_ != builder.preset()) {
    user_error(fmt::format("--preset {} for a run of preset {}", preset_, builder.preset()),
               "leave out --preset: a run keeps its own");
  }
  if (!file_.empty()) builder.overlay(file_);
  set(builder);
}

Config ConfigOptions::of_run(const fs::path& folder) const {
  check_run_folder(folder);
  ConfigBuilder builder = ConfigBuilder::from_file(folder / "config.toml");
  overlay(builder);
  return builder.finish();
}

/// Single keys: each is to be given in one way, for no order would be the one that was meant.
void ConfigOptions::set(ConfigBuilder& builder) const {
  for (const std::string& setting : settings_) {
    const auto [key, value] = split_assignment("--set", setting);
    builder.set(key, value);
    for (const auto& [flag, given] : flags_) {
      if (flag == key && given != value) {
        user_error(fmt::format("--set {} beside --{} {}", setting, flag, given), "leave out one of the two");
      }
    }
  }
  for (const auto& [key, value] : flags_) builder.set(key, value);
}

std::optional<std::string> ConfigOptions::without_part(const Config& config) const {
  std::vector<std::string> given, idle;
  for (const std::string& setting : settings_) given.push_back(split_assignment("--set", setting).first);
  for (const auto& [key, value] : flags_) given.push_back(key);
  for (const ConfigKey& key : config_keys()) {
    if (std::ranges::find(given, key.name) != given.end() && !has_part(key, config)) idle.push_back(key.name);
  }
  if (idle.empty()) return {};
  const bool is_model = find_preset(config.preset).trains == Trains::model;
  return fmt::format("without effect here: {} (preset {}{})", fmt::join(idle, ", "), config.preset,
                     is_model ? ", method " + config.method : "");
}

RunOptions::RunOptions(CLI::App& command) {
  command.add_option("run", folder_, "folder of a training run")->type_name("RUN")->required();
  command.add_option("--device", device_, "cpu, cuda or cuda:N (default: the run's own)")->type_name("D");
  command.add_option("--precision", precision_, "fp32, tf32 or bf16 (default: the run's own)")
      ->check(one_of({"fp32", "tf32", "bf16"}));
  command.add_option("--seed", seed_, "of the noise (default: the run's own)")
      ->type_name("S")
      ->check(whole_number(0, kMostSeed));
}

void RunOptions::add_sampler_options(CLI::App& command) {
  add_key_option(command, "solver", sampler_, " (default: the run's own)");
  for (const char* key : {"solver_steps", "eta"})
    add_key_option(command, key, sampler_, " (default: the run's own, 0 for another solver)");
}

void RunOptions::add_inference_options(CLI::App& command) {
  for (const char* key : {"test_start", "test_posterior_steps"})
    add_key_option(command, key, inference_, " (default: the run's own)");
}

void RunOptions::set_inference(Config& config) const {
  if (inference_.empty()) return;
  ConfigBuilder builder = ConfigBuilder::from_text(to_toml(config), folder_);
  for (const auto& [key, value] : inference_) builder.set(key, value);
  config = builder.finish();
}

void RunOptions::refuse_sampler_options(const std::string& reason) const { refuse_first(sampler_, reason); }

void RunOptions::refuse_inference_options(const std::string& reason) const {
  refuse_first(inference_, reason);
}

/// A solver that is named begins with the defaults of steps and noise: those of the run are its own solver's.
void RunOptions::set_sampler(Config& config) const {
  if (sampler_.empty()) return;
  if (!method_parts(config.method).sampler)
    refuse_sampler_options(fmt::format("a run of method {} has no sampler", config.method));
  ConfigBuilder builder = ConfigBuilder::from_text(to_toml(config), folder_);
  if (std::ranges::find(sampler_, "solver", &KeyValues::value_type::first) != sampler_.end()) {
    builder.set("solver_steps", "0");
    builder.set("eta", "0");
  }
  for (const auto& [key, value] : sampler_) builder.set(key, value);
  config = builder.finish();
}

std::string sampler_note(const Config& c) {
  if (c.solver == Solver::ancestral && c.solver_steps == 0) return "";
  const std::string eta = c.eta > 0.0 ? fmt::format(", eta {}", c.eta) : "";
  return fmt::format(", {} in {} steps{}", name(c.solver), sampling_steps(c), eta);
}

LoadedRun RunOptions::load(const Communicator& among) const {
  const Part on_host = part_on_host(among);  // first of all: whatever fails here, they have met
  Run run = open_run(folder_);
  set_sampler(run.config);
  set_inference(run.config);
  if (seed_) run.config.seed = *seed_;
  if (!precision_.empty()) run.config.precision = parse_precision(precision_);
  auto model = load_model(run, own_device(device_.empty() ? run.config.device : device_, on_host));
  if (among.leads()) note_emulation(model->config);
  return {std::move(run), std::move(model)};
}

void note_emulation(const Config& config) {
  if (config.precision != Precision::tf32 || parse_device(config.device).type != DeviceType::cpu) return;
  show_aside("note: the CPU emulates the arithmetic of tf32, for its numerics; it is slower than fp32\n");
}

std::string state_of(const Run& run) { return fmt::format("weights  after {} iterations", run.iteration); }

std::string own_device(const std::string& device, Part on_host) {
  const Device asked = parse_device(device);
  if (on_host.count == 1 || asked.type != DeviceType::cuda) return device;
  const auto index = cuda_device_count() == 1 ? 0 : static_cast<int>(on_host.index);
  return index == asked.index ? device : Device{DeviceType::cuda, index}.str();
}

std::pair<std::string, std::string> split_assignment(const std::string& option, const std::string& text) {
  const std::size_t at = text.find('=');
  if (at == std::string::npos || at == 0) {
    user_error(fmt::format("{} {}: there is no NAME=VALUE in it", option, text),
               fmt::format("write it as {} name=value", option));
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

Split load_data(const Config& config, const std::string& folder) {
  const std::string& place = folder.empty() ? config.data : folder;
  if (place.empty()) user_error("no data folder is known for this run", "give one with --data DIR");
  if (folder.empty() && !fs::exists(status_of(place)))
    user_error(fmt::format("the data folder '{}' does not exist", place), "say where it is with --data DIR");
  Split split = load_dataset(config.architecture, place, static_cast<int>(config.holdout));
  if (!split.note.empty()) fmt::print("note: {}\n", escaped(split.note));
  return split;
}

Tensor read_array(const fs::path& file, Dtype dtype) {
  const Tensor stored = read_npy(file);
  if (stored.dtype() != Dtype::i64) return stored.to(dtype);
  const std::vector<std::int64_t> whole = stored.to_vector<std::int64_t>();
  return Tensor::from(std::vector<double>(whole.begin(), whole.end()), stored.shape()).to(dtype);
}

void check_output_file(const std::string& option, const fs::path& file,
                       const std::vector<std::string>& suffixes) {
  const fs::path folder = file.parent_path();
  const std::string suffix = ending(file);
  if (!suffix.empty() && !suffixes.empty() && std::ranges::find(suffixes, suffix) == suffixes.end()) {
    user_error(fmt::format("{} '{}': what is written is no {}", option, file.string(), suffix),
               fmt::format("let the name end with {}", fmt::join(suffixes, " or ")));
  }
  std::error_code failure;
  if (file.filename().empty() || fs::is_directory(file, failure)) {
    user_error(fmt::format("{} '{}' names no file", option, file.string()), "give the file's name, too");
  }
  if (!folder.empty() && !fs::is_directory(folder, failure)) {
    user_error(fmt::format("the folder of {} {} does not exist", option, file.string()), "make it first");
  }
  try {
    const AtomicFile trial(file);
  } catch (const Error& error) {
    user_error(fmt::format("{}: {}", option, error.what()), "give another place");
  }
}

void check_output_folder(const std::string& option, const std::string& folder) {
  if (folder.empty()) user_error(fmt::format("{} '' names no folder", option));
  constexpr std::string_view of_files[] = {".png", ".jpg", ".jpeg", ".gif", ".npy", ".npz", ".safetensors"};
  std::error_code failure;
  if (std::ranges::find(of_files, ending(folder)) != std::end(of_files) && !fs::exists(folder, failure)) {
    user_error(fmt::format("{} '{}' is the folder that takes the files", option, folder),
               "leave out the suffix, or make a folder of that name first");
  }
  fs::path place = fs::absolute(folder, failure);
  if (failure)
    user_error(fmt::format("{} '{}': the folder that this program works in is gone: {}", option, folder,
                           failure.message()),
               "cd to another one");
  while (!fs::exists(fs::symlink_status(place, failure))) {  // up to what is there
    if (failure == std::errc::filename_too_long) break;
    place = place.parent_path();
  }
  if (!fs::is_directory(place, failure)) {
    const std::string reason =
        failure == std::errc::filename_too_long ? failure.message() : place.string() + " is not a folder";
    user_error(fmt::format("cannot create the folder '{}' of {}: {}", folder, option, reason));
  }
  try {
    const AtomicFile trial(place / "trial");
  } catch (const Error& error) {
    user_error(fmt::format("{} '{}' cannot be written to: {}", option, folder, error.what()),
               "give another place");
  }
}

OutputFolder make_output_folder(const std::string& folder) {
  check_output_folder("--out", folder);
  try {
    return OutputFolder(folder);
  } catch (const Error& error) {
    user_error(error.what());
  }
}

void write_grid(const fs::path& file, const Tensor& images, std::int64_t columns) {
  write_grid(file, images.to_vector<float>(), images.size(0), images.size(1), images.size(2), images.size(3),
             columns);
}

}  // namespace damc
