/// Training of the classifier of digits (damc/classifier.h): a run as others are, with a folder, numbers, states to go on
/// from and an end by signals.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "damc/classifier.h"
#include "tools/run_journal.h"
#include "tools/run_start.h"

namespace damc {

class ClassifierRun {
 public:
  /// Stands where it begins; nothing is written yet. Throws UserError for images without labels, and when a state does not
  /// fit.
  explicit ClassifierRun(RunStart start);

  /// Trains to the end as TrainingRun::run does, a new run in a folder of its own in `parent`. The last call on this
  /// object.
  void run(const std::filesystem::path& parent);

  const Config& config() const { return config_; }
  const Classifier& classifier() const { return *classifier_; }

 private:
  void train();
  void finish_iteration(const Stats& stats);
  void save();

  Config config_;
  Device device_;
  Split split_;
  std::vector<std::string> notes_;
  std::unique_ptr<Classifier> classifier_;
  ClassifierTraining training_;
  Progress progress_;
  RunJournal journal_;
};

/// The classifier of a run that this made, with its newest weights. Throws UserError for a run of another kind.
std::unique_ptr<Classifier> load_classifier(const std::filesystem::path& folder, Device device);

}  // namespace damc
