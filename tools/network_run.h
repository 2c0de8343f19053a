/// Training of networks that are no generative model (damc/training.h): a run as others are, with a folder, numbers, states
/// to go on from and an end by signals.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "damc/training.h"
#include "tensor/error.h"
#include "tools/run_journal.h"
#include "tools/run_start.h"

namespace damc {

class NetworkRun {
 public:
  /// Stands where it begins; nothing is written yet. Throws UserError for images or networks that do not fit the preset,
  /// and when a state does not fit.
  explicit NetworkRun(RunStart start);

  /// Trains to the end as TrainingRun::run does, a new run in a folder of its own in `parent`. The last call on this
  /// object.
  void run(const std::filesystem::path& parent);

  const Config& config() const { return config_; }
  const Training& training() const { return *training_; }

 private:
  void go_on_from(const SavedState& state);
  void train();
  std::string explain(const OutOfMemory& error);
  void finish_iteration(const Stats& stats);
  void evaluate();
  void save();

  Config config_;
  Device device_;
  Split split_;
  std::vector<std::string> notes_;
  std::unique_ptr<Training> training_;
  Progress progress_;
  RunJournal journal_;
};

}  // namespace damc
