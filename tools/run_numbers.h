/// What a run's files say of it in numbers.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "damc/run_records.h"

namespace damc {

struct RunNumbers {
  std::int64_t iteration = 0;  ///< of the last record, or the newest weights where those are newer
  std::int64_t images_seen = 0;
  double seconds = 0.0;                ///< that its iterations took, pauses left out; 0: nothing is recorded
  double seconds_per_iteration = 0.0;  ///< the last that is recorded
  double memory_mib = 0.0;             ///< of the device, likewise
  std::filesystem::path weights;       ///< the newest; empty: none are saved yet
  std::string data;                    ///< what they say that the run learned from
  std::map<std::string, std::int64_t>
      parameters;  ///< by the prefix of a network's names, target sampler left out

  std::int64_t parameter_count() const;
};

/// Of the run in a folder with these records. Throws UserError for damaged weights.
RunNumbers run_numbers(const std::filesystem::path& folder, const StatsTable& stats, std::int64_t batch);

}  // namespace damc
