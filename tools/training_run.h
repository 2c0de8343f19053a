/// One training run: the loop around Trainer, its run folder, its pictures and its numbers.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "damc/run_folder.h"
#include "data/feed.h"
#include "data/images.h"

namespace damc {

class TrainingRun {
 public:
  /// A new run in `parent`/00000-PRESET. The data set is read first, so that nothing is left behind when it
  /// is missing.
  static TrainingRun start(const Config& config, const std::filesystem::path& parent);
  /// Continues the run in `folder` from its newest state, with some keys changed: its goal, its device.
  static TrainingRun resume(const std::filesystem::path& folder, const KeyValues& changes);

  /// Trains to the end. SIGINT and SIGTERM save a state and end the program with 130 or 143 (Exit). Throws
  /// Error when a loss is not finite; the states saved before stay.
  void run();

 private:
  TrainingRun(const Config& config, std::filesystem::path folder, Split split, std::int64_t done);

  IterationStats iterate(const Tensor& x);
  void check();
  void say(const std::string& line);
  void log(std::int64_t done, const IterationStats& stats, double seconds);
  void save(std::int64_t done);
  void evaluate(std::int64_t done);

  std::filesystem::path folder_;
  std::unique_ptr<Split> split_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<Batches> batches_;
  std::int64_t done_;
  std::size_t fixed_bytes_ = 0;  // in use before the first batch
};

}  // namespace damc
