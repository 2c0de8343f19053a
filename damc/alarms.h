/// What is wrong with a training, as far as its numbers tell.
#pragma once

#include <string>
#include <vector>

#include "damc/run_records.h"

namespace damc {

/// A sentence for each of these; numbers are medians over a window of lines, a tenth of all and 5 at least:
///   numbers that are not finite;
///   a loss (loss_*) that stands at 5 times its lowest window or more;
///   an energy gap E+ - E- beyond 10, where chains of the prior no longer reach what the posterior's do;
///   a stability number (stability_*) beyond 2, where Langevin steps diverge.
std::vector<std::string> alarms(const StatsTable& stats);

}  // namespace damc
