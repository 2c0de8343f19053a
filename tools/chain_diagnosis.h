/// What `damc chain` says of how well its chains do.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "damc/chains/diagnostics.h"

namespace damc {

struct ChainDiagnosis {
  std::int64_t steps, chains;
  double step_size, stability;   ///< the latter where the chains end, damc/chains/stability.h
  std::optional<Mixing> mixing;  ///< of E(z); none of chains of fewer than 3 steps
};

/// A short table, and a line for each number that is not as it should be; ends with a newline.
std::string table(const ChainDiagnosis& found);

/// Writes it as JSON; numbers that are none are null. Throws Error when that fails.
void write_json(const std::filesystem::path& file, const ChainDiagnosis& found);

/// Reads what write_json() wrote; none where there is no such file. Throws UserError for a file that holds anything else.
std::optional<ChainDiagnosis> read_diagnosis(const std::filesystem::path& file);

}  // namespace damc
