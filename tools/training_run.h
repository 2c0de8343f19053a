/// One training run: the loop around Trainer, its run folder, its pictures and its numbers.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "damc/run_folder.h"
#include "data/feed.h"
#include "data/images.h"
#include "tensor/error.h"
#include "tensor/file.h"

namespace damc {

class TrainingRun {
 public:
  /// A new run in `parent`/00000-PRESET. The data set is read first, so that nothing is left behind when it
  /// is missing.
  static TrainingRun start(const Config& config, const std::filesystem::path& parent);
  /// Continues the run in `folder` from its newest state, with some keys changed: its goal, its device.
  /// Throws UserError while another process trains there.
  static TrainingRun resume(const std::filesystem::path& folder, const KeyValues& changes);

  /// Trains to the end. SIGINT and SIGTERM save a state and end the program with 130 or 143 (Exit). Throws Error when a
  /// loss is not finite, the disk is full, or memory does not suffice, with the batch that would fit; the states saved
  /// before stay. The last call on this object.
  void run();

 private:
  TrainingRun(const Config& config, std::filesystem::path folder, std::unique_ptr<FolderLock> lock,
              Split split, std::int64_t done);

  void train();
  std::int64_t fitting_batch(const OutOfMemory& error);
  bool fits(std::int64_t batch);
  void check();
  void say(const std::string& line);
  void log(std::int64_t done, const IterationStats& stats, double seconds);
  void save(std::int64_t done);
  void save_in_spite_of(const Error& error);
  void evaluate(std::int64_t done);

  std::filesystem::path folder_;
  std::unique_ptr<FolderLock> lock_;
  std::unique_ptr<Split> split_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<Batches> batches_;
  std::int64_t done_;
};

}  // namespace damc
