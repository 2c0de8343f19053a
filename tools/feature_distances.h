/// The metrics that compare samples with real images in the features of a network: fid, kid, precision, recall,
/// classifier-fd.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "damc/metrics/reference.h"
#include "damc/model.h"
#include "data/images.h"
#include "tensor/communicator.h"
#include "tools/finding.h"

namespace damc {

/// Those of Inception-v3.
const std::vector<std::string>& inception_metrics();

/// How images become features, by the names that references are marked with.
const std::vector<std::string>& feature_modes();

/// The features that the original FID is in, with the weights that options name. Throws UserError for those of another
/// network.
FeatureSpace inception_space(const DistanceOptions& options, Device device);

/// The features of the classifier of digits whose run options name. Throws UserError for a run of another kind.
FeatureSpace classifier_space(const DistanceOptions& options, Device device);

class FeatureDistances {
 public:
  /// Keeps references; z of samples comes from options.from. Throws UserError for a reference that cannot serve the
  /// metrics of `wanted`: before the work begins.
  FeatureDistances(const Model& model, const Split& split, FeatureSpace space, const DistanceOptions& options,
                   const std::vector<std::string>& wanted, bool shows_progress, const Communicator& among);

  /// The number of one metric. The reference is measured once (cache_folder.h), samples once until forget().
  Finding measure(const std::string& metric);
  /// The model has other weights now.
  void forget() { samples_.reset(); }

 private:
  void read_given_reference(const std::vector<std::string>& wanted);
  const Reference& reference();
  const Statistics& samples();

  const Model& model_;
  FeatureSpace space_;
  DistanceOptions options_;
  bool shows_progress_;
  const Communicator& among_;
  Images real_;
  std::string real_name_;
  std::optional<Reference> reference_;
  std::optional<Statistics> samples_;
};

}  // namespace damc
