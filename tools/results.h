/// Results of evaluations as tables show them: which are the same measure, and what a run's configuration is to be
/// compared with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "damc/config.h"
#include "damc/run_records.h"

namespace damc {

/// "pca-fd of samples": the name of a metric that is of several things holds which; "mse on DIR" where the images are
/// others than the run learned from.
std::string label_of(const Metric& metric);

/// How the images that a metric is of were made: "damc, ddim in 10 steps"; "" where that says nothing.
std::string origin_of(const Metric& metric);

/// What samples were measured against: "fid-float, network 1a2b3c4d, 50000 training images"; "" where that says nothing.
std::string reference_of(const Metric& metric);

/// What a column of results is of.
struct ResultKey {
  std::string label;
  std::optional<std::string> origin = {};  ///< as origin_of has it; none: of any, a run has one

  bool holds(const Metric& metric) const;
  /// "fid from lebm"
  std::string text() const;
};

/// Everything that runs were measured by, in the order it came; a label that some run has from several origins is one for
/// each origin.
std::vector<ResultKey> result_keys(const std::vector<const std::vector<Metric>*>& runs);

/// The last result of a run that the key holds; null: there is none.
const Metric* newest_result(const std::vector<Metric>& metrics, const ResultKey& key);

/// Whether a key of the configuration bears on results: not what is written when, on which machine, from where.
bool shapes_results(const ConfigKey& key);

/// What preset and method of a configuration say by themselves, with its held-out digit.
Config usual_config(const Config& config);

}  // namespace damc
