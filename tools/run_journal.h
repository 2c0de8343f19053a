/// What every kind of training does with its run: a folder that is its own, what is due when, what it says on the screen
/// and in log.txt, and how it stops.
#pragma once

#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "damc/checkpoint.h"
#include "tensor/communicator.h"
#include "tensor/io/file.h"
#include "tools/status_line.h"

namespace damc {

/// Calls `save` before an error ends a run, as that of a full disk: the iterations that are done stand. Throws Error with
/// both messages when that fails as well.
void save_in_spite_of(const std::exception& error, const std::function<void()>& save);

class RunJournal {
 public:
  /// Of the run in `folder`, which `lock` guards; of a new one when that is empty. Keeps references to its configuration,
  /// to where it stands, and to the processes that train it, of which the first writes.
  RunJournal(std::filesystem::path folder, std::unique_ptr<FolderLock> lock, const Config& config,
             const Progress& progress, const Communicator& among = alone());

  /// Makes the folder of a new run in `parent`, or clears that of one that goes on of what lies after its state; all
  /// processes know it then. Returns whether it is new. Throws Error when that cannot be done.
  bool open(const std::filesystem::path& parent);
  const std::filesystem::path& folder() const { return folder_; }

  /// Whether the iteration that is done is one of every `interval`, or the last; 0: only the last.
  bool due(std::int64_t interval) const;

  /// From now on there is a status line, until end_status().
  StatusLine& start_status() { return status_.emplace(progress_.iterations, config_.iterations); }
  void end_status() { status_.reset(); }
  StatusLine& status() { return *status_; }

  /// A line on the screen and in log.txt. Throws Error when it cannot be written.
  void say(const std::string& line);
  /// Notes why the run ends; where even that cannot be written, the error that is shown says it.
  void log_end(const std::string& reason) const;
  /// Ends the program after a signal, with a line that says how to go on. Throws Exit.
  [[noreturn]] void stop(int signal);

 private:
  std::filesystem::path folder_;
  std::unique_ptr<FolderLock> lock_;
  const Config& config_;
  const Progress& progress_;
  const Communicator& among_;
  std::optional<StatusLine> status_;
};

}  // namespace damc
