/// The tables of the paper (Yu et al., NeurIPS 2023) that runs of this program have values for: what is published, and
/// which run and which measure of it belongs to each cell.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "damc/presets.h"

namespace damc {

struct Published {
  double value;
  double deviation = 0.0;  ///< 0: none is stated
};

struct PaperRow {
  std::string label;
  std::string method;            ///< presets.h; "": no run has values for this row
  std::vector<Published> cells;  ///< for each column the metrics; NaN: the paper has none
  KeyValues settings = {};
  std::string from = {};  ///< z of its samples; "": as the method has it
  std::int64_t noise_steps =
      0;  ///< of reconstructions by chains from N(0, I), beside a method's own; 0: its own
};

struct PaperColumn {
  std::string label;
  std::string preset;
  KeyValues settings = {};
};

struct PaperTable {
  std::string name;  ///< "1"
  std::string title;
  std::vector<std::string> metrics;  ///< as 'damc eval' calls them
  std::vector<PaperColumn> columns;
  std::vector<PaperRow> rows;
  std::vector<std::string> notes = {};
};

/// In the order of the paper.
const std::vector<PaperTable>& paper_tables();

}  // namespace damc
