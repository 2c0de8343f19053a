/// A run folder: where a training run keeps its configuration, weights, full states, numbers and pictures.
///
///   config.toml             the effective configuration
///   log.txt                 what the screen showed
///   stats.jsonl             one object per logged iteration
///   model-N.safetensors     weights after N iterations: G, E, sampler Q, target sampler Q_dummy
///   state-N.safetensors     those and everything else a resumed run needs
///   grids/                  pictures of fixed z and fixed x
///   metrics.jsonl           results of evaluations
/// Files appear whole or not at all.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "damc/model.h"
#include "damc/trainer.h"

namespace damc {

/// Makes parent/00000-NAME (the next free number) and returns it. Throws Error when that cannot be done.
std::filesystem::path make_run_folder(const std::filesystem::path& parent, const std::string& name);

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

/// Writes model-N.safetensors, N = iterations done.
void save_model(const std::filesystem::path& folder, const Model& model, std::int64_t iterations);

/// Writes state-N.safetensors, then removes older states.
void save_state(const std::filesystem::path& folder, const Model& model, const Trainer& trainer,
                std::int64_t iterations);

/// The newest state of a run: its iteration number, or -1 when there is none.
std::int64_t newest_state(const std::filesystem::path& folder);

/// Restores model and trainer from state-N.safetensors. Throws UserError when it does not fit the model.
void load_state(const std::filesystem::path& folder, std::int64_t iterations, Model& model, Trainer& trainer);

/// Appends one line to a file, in a single write. Throws Error naming the file when the disk is full.
void append_line(const std::filesystem::path& file, const std::string& line);

}  // namespace damc
