/// A run folder: where a training run keeps its configuration, weights, full states, numbers and pictures.
///
///   config.toml             the effective configuration
///   log.txt                 what the screen showed, with the time
///   stats.jsonl             one object per logged iteration
///   model-N.safetensors     weights after N iterations: G, E, sampler Q, target sampler Q_dummy
///   state-N.safetensors     those and everything else a resumed run needs
///   grids/                  pictures of fixed z and fixed x, and of the first minibatch
///   metrics.jsonl           results of evaluations
/// Files appear whole or not at all; checkpoint.h has those of weights and states.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "damc/model.h"

namespace damc {

/// Makes parent/00000-NAME (the next free number) with config.toml and grids/ in it and returns it: whole or not at
/// all, and one for each of several processes that do so at once. Throws Error when that cannot be done.
std::filesystem::path make_run_folder(const std::filesystem::path& parent, const std::string& name,
                                      const Config& config);

/// An existing run.
struct Run {
  std::filesystem::path folder;
  Config config;
  std::int64_t iteration;         ///< iterations behind the newest weights
  std::filesystem::path weights;  ///< the newest model-N.safetensors
};

/// Opens a run for reading. Throws UserError when the folder is not a run or holds no weights yet.
Run open_run(const std::filesystem::path& folder);

/// The model with the run's newest weights, on `device` ("" for the run's own).
std::unique_ptr<Model> load_model(const Run& run, const std::string& device = "");

/// Throws UserError when a folder is not a run.
void check_run_folder(const std::filesystem::path& folder);

/// Throws UserError where something else lies at the place of a file or folder that a run that goes on writes to.
void check_run_files(const std::filesystem::path& folder);

/// Writes config.toml.
void write_config(const std::filesystem::path& folder, const Config& config);

/// Takes a run back to where it stood after `iterations`: removes the weights, states, pictures and lines of later
/// iterations, which will be made again.
void rewind_run(const std::filesystem::path& folder, std::int64_t iterations);

/// Appends one line to a file, in a single write. Throws Error naming the file when the disk is full.
void append_line(const std::filesystem::path& file, const std::string& line);

/// Appends a line with the time to a run's log.txt.
void append_log(const std::filesystem::path& folder, const std::string& line);

/// A line of log.txt.
struct LogLine {
  std::string time;  ///< "2026-01-31T23:59:59Z"; "" in files of before
  std::string text;
};
/// All lines of a run's log.txt that are finished; none where there is no such file.
std::vector<LogLine> read_log(const std::filesystem::path& folder);

/// The files WHAT-N.png of a folder, by WHAT and N.
using NumberedPictures = std::map<std::string, std::map<std::int64_t, std::filesystem::path>>;
NumberedPictures numbered_pictures(const std::filesystem::path& folder);

/// The time, as 2026-01-31T23:59:59Z, and the seconds since 1970 of such a text; none of another.
std::string utc_time();
std::optional<std::int64_t> seconds_of(const std::string& time);

}  // namespace damc
