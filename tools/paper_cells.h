/// Cells of the paper's tables, as runs of this program fill them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/paper_tables.h"
#include "tools/report_run.h"

namespace damc {

/// A run whose method and images are a cell's.
struct FittingRun {
  const RunView* view;
  std::vector<std::string> differences;  ///< from the paper's configuration: "ngf 8 for 64"
  std::int64_t iterations;               ///< the paper's
};

struct PaperCell {
  const PaperTable* table;
  const PaperRow* row;
  const PaperColumn* column;
  std::size_t metric_number;
  std::optional<FittingRun> run;  ///< none: there is none among those given

  const std::string& metric() const { return table->metrics[metric_number]; }
};

/// The row's cell of that number (PaperRow::cells), with the run that fits best: of those that have all that row and
/// column state the one nearest to the paper's configuration, then the one that has come farthest, then the last.
PaperCell paper_cell(const PaperTable& table, const PaperRow& row, std::size_t number,
                     const std::vector<RunView>& runs);

struct CellResult {
  double value;
  double deviation;  ///< over evaluations in training; 0: there is none
  std::string over;  ///< "fid over 50000 images"
};

/// What the cell's run was measured to have; none without a run, or where it was not measured.
std::optional<CellResult> result_of(const PaperCell& cell);

/// The commands that fill a cell, one that trains only where no run fits. None where no method of this program is the
/// row's.
std::vector<std::string> commands_for(const PaperCell& cell);

/// What z of samples is drawn from where nothing else is said: of Model::sources() the first.
std::string own_source(const MethodParts& method);

}  // namespace damc
