/// Options and steps that several commands share.
///
/// An options object registers its options with a command in its constructor and receives their values while
/// the command line is parsed; so it must stay where it is and live as long as the command (a shared_ptr in
/// its callback).
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "damc/config.h"
#include "damc/model.h"
#include "damc/run_folder.h"
#include "data/images.h"
#include "tensor/communicator.h"
#include "tensor/io/file.h"

namespace damc {

/// The largest seed: a double, as some readers of JSON and TOML take numbers for, holds all up to it.
inline constexpr std::int64_t kMostSeed = 9'000'000'000'000'000;

/// A configuration: --preset, overlaid by --config FILE, by every --set KEY=VALUE, and by flags for single
/// keys.
class ConfigOptions {
 public:
  explicit ConfigOptions(CLI::App& command);
  ConfigOptions(const ConfigOptions&) = delete;
  ConfigOptions& operator=(const ConfigOptions&) = delete;

  /// Adds a flag for one key: "prior_steps" becomes --prior-steps. The help is the key's.
  void add_flag(const std::string& key);
  /// Whether a key is given by an option of its own.
  bool has_flag(const std::string& key) const;
  /// The configuration. Throws UserError when neither --preset nor the file names a preset, or as ConfigBuilder does.
  Config build() const;
  /// What was given, over a configuration that is there already. Throws UserError for another preset, or as
  /// ConfigBuilder does.
  void overlay(ConfigBuilder& builder) const;
  /// The configuration of a run with what was given. Throws UserError where there is no run, or likewise.
  Config of_run(const std::filesystem::path& folder) const;
  /// A line on keys that were given one by one and have no part in what the configuration trains, if there are any.
  std::optional<std::string> without_part(const Config& config) const;

 private:
  void set(ConfigBuilder& builder) const;

  CLI::App& command_;
  std::string preset_, file_;
  std::vector<std::string> settings_;  // KEY=VALUE
  KeyValues flags_;
};

/// A run with its newest weights loaded.
struct LoadedRun {
  Run run;
  std::unique_ptr<Model> model;
};

/// RUN, --device, --precision and --seed: what every command on a trained model takes.
class RunOptions {
 public:
  explicit RunOptions(CLI::App& command);
  RunOptions(const RunOptions&) = delete;
  RunOptions& operator=(const RunOptions&) = delete;

  /// --solver, --solver-steps and --eta as well: how the run's sampler draws.
  void add_sampler_options(CLI::App& command);

  /// --test-start and --test-posterior-steps: how z of an image is found.
  void add_inference_options(CLI::App& command);

  /// Throws UserError, with the reason, where an option of how z of an image is found was given.
  void refuse_inference_options(const std::string& reason) const;

  /// Opens the run and loads its model; the model's configuration has what was asked for. Throws UserError as
  /// open_run and load_model do, and for options of a sampler that the run does not have or that do not go together.
  /// Every process calls it.
  LoadedRun load(const Communicator& among = alone()) const;
  bool seed_given() const { return seed_.has_value(); }
  /// Throws UserError when there are options of the sampler, which nothing will be drawn from.
  void refuse_sampler_options(const std::string& reason) const;

 private:
  void set_sampler(Config& config) const;
  void set_inference(Config& config) const;

  KeyValues sampler_, inference_;  // of the configuration
  std::string folder_, device_, precision_;
  std::optional<std::int64_t> seed_;
};

/// How the sampler draws where it is not by ancestral sampling in all steps: ", ddim in 10 steps, eta 0.5"; else "".
std::string sampler_note(const Config& config);

/// Says on stderr that the CPU only emulates a configuration's precision, if that is so: tf32.
void note_emulation(const Config& config);

/// What processes that work on a run have to have alike: its weights, in words.
std::string state_of(const Run& run);

/// The device of a process where several of those that work together run on its host: of GPUs that of its number there, or
/// the only one that it sees, whichever is named. Otherwise the one that is named.
std::string own_device(const std::string& device, Part on_host);

/// Splits KEY=VALUE at the first '='. Throws UserError, naming the option, when there is none or the key is
/// empty.
std::pair<std::string, std::string> split_assignment(const std::string& option, const std::string& text);

/// The data set that a configuration learns from and is measured on, from `folder`, or from config.data when
/// that is empty; what is special about it (Split::note) goes to the screen. Throws UserError as load_dataset
/// does, or when neither names a folder.
Split load_data(const Config& config, const std::string& folder = "");

/// The numbers of a .npy file, integers too, as f32 or f64. Throws UserError as read_npy does.
Tensor read_array(const std::filesystem::path& file, Dtype dtype = Dtype::f32);

/// Throws UserError unless `file`, the value of an option, can be written: before the work whose result would be lost. A
/// suffix that it has must be one of `suffixes`, if there are any: what is written there does not follow the name.
void check_output_file(const std::string& option, const std::filesystem::path& file,
                       const std::vector<std::string>& suffixes = {});

/// The same for a folder, which need not exist yet; makes nothing. A new one with the name of a file of results is refused
/// as a mistake.
void check_output_folder(const std::string& option, const std::string& folder);

/// The folder for results. Throws UserError when it cannot be made or written to.
OutputFolder make_output_folder(const std::string& folder);

/// Writes images [N,H,W,C] in [-1, 1] as a PNG grid, row by row, `columns` in a row.
void write_grid(const std::filesystem::path& file, const Tensor& images, std::int64_t columns);

}  // namespace damc
