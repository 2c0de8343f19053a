#include "tools/run_journal.h"

#include "damc/run_folder.h"
#include "tensor/error.h"
#include "tools/commands.h"
#include "tools/screen.h"
#include "tools/shell_word.h"
#include "tools/stop_signal.h"

namespace damc {

namespace fs = std::filesystem;

void save_in_spite_of(const std::exception& error, const std::function<void()>& save) {
  try {
    save();
  } catch (const std::exception& second) {
    const std::string why = second.what();
    throw Error(fmt::format("{}; nor could a state be saved: {}", error.what(),
                            why.substr(0, why.rfind("\nhint: "))));
  }
}

RunJournal::RunJournal(fs::path folder, std::unique_ptr<FolderLock> lock, const Config& config,
                       const Progress& progress, const Communicator& among)
    : folder_(std::move(folder)),
      lock_(std::move(lock)),
      config_(config),
      progress_(progress),
      among_(among) {}

bool RunJournal::open(const fs::path& parent) {
  const bool is_new = folder_.empty();
  if (among_.leads() && is_new) {
    folder_ = make_run_folder(parent, config_.preset, config_);
    lock_ = std::make_unique<FolderLock>(folder_);
  } else if (among_.leads()) {
    rewind_run(folder_, progress_.iterations);
    fs::create_directories(folder_ / "grids");
    write_config(folder_, config_);
  }
  folder_ = among_.gather(folder_.string())[0];
  return is_new;
}

bool RunJournal::due(std::int64_t interval) const {
  return progress_.iterations == config_.iterations || (interval > 0 && progress_.iterations % interval == 0);
}

void RunJournal::say(const std::string& line) {
  if (status_) {
    status_->print(line);
  } else {
    show(line + "\n");
  }
  if (among_.leads()) append_log(folder_, line);
}

void RunJournal::log_end(const std::string& reason) const {
  if (!among_.leads() || folder_.empty()) return;
  try {
    append_log(folder_, reason);
  } catch (const Error&) {
  }
}

void RunJournal::stop(int signal) {
  const std::string line =
      fmt::format("stopped by {} after iteration {}; continue with: damc train --resume {}",
                  signal_name(signal), progress_.iterations, shell_path(folder_.string()));
  status_->print(line);
  log_end(line);
  throw Exit{128 + signal};
}

}  // namespace damc
