/// One training run: the loop around Method, its run folder, its pictures and its numbers.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "damc/diagnosis.h"
#include "data/feed.h"
#include "tensor/error.h"
#include "tools/evaluation.h"
#include "tools/pictures.h"
#include "tools/run_journal.h"
#include "tools/run_start.h"

namespace damc {

class TrainingRun {
 public:
  /// Stands where it begins; nothing is written yet. `among`, which outlives it, are the processes that train it together:
  /// the first of them writes and shows, and makes pictures and evaluations while the others wait. Throws UserError when a
  /// state does not fit the model, and as check_shares does.
  explicit TrainingRun(RunStart start, const Communicator& among = alone());

  /// Trains to the end, a new run in a folder of its own in `parent`. Signals that ask to stop (stop_signal.h) save a
  /// state and end the program with 128 + the signal (Exit). Throws Error when a loss is not finite and on_nan says no
  /// more, the disk is full, or memory does not suffice, with the batch that would fit; the states saved before stay.
  /// However it ends, log.txt says when and why. The last call on this object.
  void run(const std::filesystem::path& parent);

  /// Trains `count` iterations for their seconds, and writes nothing. The last call on this object.
  std::vector<double> time_iterations(int count);

  const Model& model() const { return *model_; }
  const Progress& progress() const { return progress_; }

 private:
  std::unique_ptr<Method> make_method(std::int64_t rollbacks) const;
  void begin_with(const SavedState& initial);
  std::string standing() const;
  Shape batch_shape() const;
  void train();
  bool is_diagnosed() const;
  bool is_logged() const;
  void finish_iteration(const Tensor& x, Stats& stats, Pictures& pictures);
  void diagnose(const Tensor& x, Stats& stats);
  void go_back(const Divergence& error);
  std::string advice() const;
  std::string explain(const OutOfMemory& error);
  void log(const Stats& stats, double seconds);
  void save();
  void write_state();
  void check_weights() const;
  void save_before(const std::exception& error);
  void load_next(Feed& feed);
  void evaluate();

  const Communicator& among_;
  std::unique_ptr<Split> split_;
  std::vector<std::string> metrics_;  // that evaluations measure
  std::unique_ptr<Model> model_;
  std::unique_ptr<Method> method_;
  std::unique_ptr<Batches> batches_;
  std::optional<Split> evaluated_;  // what evaluations see of the split
  std::optional<Evaluation> evaluation_;
  std::vector<std::string> notes_;
  Progress progress_;
  bool starts_elsewhere_ = false;  // with weights that no file of the run holds yet
  RunJournal journal_;
  StabilityAlarms alarms_;
};

}  // namespace damc
