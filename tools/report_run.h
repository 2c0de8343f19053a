/// What a report shows of one run.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "damc/config.h"
#include "damc/run_folder.h"
#include "damc/run_records.h"
#include "tools/run_numbers.h"

namespace damc {

/// Where a run stands. The names are those of the page's styles.
enum class RunState { done, working, stopped, failed, silent };

struct RunView {
  std::string name;  ///< its folder's
  std::filesystem::path folder;
  Config config;
  RunState state = RunState::silent;
  std::vector<std::pair<std::string, std::string>> facts;  ///< names and texts; the same names for every run
  std::vector<std::string> alarms;
  StatsTable stats;
  std::vector<Metric> metrics;
  RunNumbers numbers;
  std::vector<std::string> histories;  ///< of metrics over the training, a sentence each
  NumberedPictures pictures;           ///< of grids/
  NumberedPictures chains;             ///< of chains/, where 'damc chain' draws them
};

/// Reads a run's folder, also while it trains. Throws UserError when it is none, or a file of it is damaged.
RunView view_run(const std::filesystem::path& folder);

/// Several, each by a name of its own: that of its folder, or where several have it the path. Throws UserError for a run
/// that is given twice.
std::vector<RunView> view_runs(const std::vector<std::string>& folders);

}  // namespace damc
