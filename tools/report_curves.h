/// The curves of a report, as its page takes them.
#pragma once

#include <string>
#include <vector>

#include "tools/report_run.h"

namespace damc {

struct RunCurves {
  std::string json;  ///< see tools/report/page.js; no '<' in it
  std::string note;  ///< what a point is, where it is not a line of the file
};

/// Every number of the runs' records and results over iterations. Names with a common beginning share a chart, as loss_g
/// and loss_q do. Long records are thinned to 2000 points a curve.
RunCurves run_curves(const std::vector<RunView>& runs);

/// A column in fewer points: the mean of every `lines` lines, and what they lie between. NaN where they have no number.
struct Points {
  std::vector<double> mean, low, high;
};
Points thinned(const std::vector<double>& values, std::size_t lines);

}  // namespace damc
