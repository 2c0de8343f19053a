/// Every metric of `damc eval` and of evaluations while training.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "damc/metrics/inference.h"
#include "tensor/communicator.h"
#include "tools/feature_distances.h"
#include "tools/pixel_distances.h"

namespace damc {

/// In the order of the help.
const std::vector<std::string>& metric_names();

/// Throws UserError for a metric that there is not, that a run of this configuration cannot be measured by, or that needs
/// a network which the options do not name.
void check_metrics(const std::vector<std::string>& metrics, const Config& config,
                   const DistanceOptions& options);

/// Whether a metric is of reconstructions of test images, alone or beside samples.
bool reconstructs(const std::string& metric);

/// Whether it compares sets of images in the features of a network: of Inception-v3, or of a classifier.
bool compares_features(const std::string& metric);
bool is_inception_metric(const std::string& metric);

/// Whether it is of generated images.
bool makes_samples(const std::string& metric);

/// What a training's evaluations are made with.
DistanceOptions training_options(const Config& config);

/// The metrics that a training evaluates (the key eval_metrics), checked.
std::vector<std::string> training_metrics(const Config& config);

/// A split with no more test images than `most`, the first.
Split first_test_images(Split split, std::optional<std::int64_t> most);

/// The numbers of one model on one data set.
class Evaluation {
 public:
  /// Keeps references. With `shows_progress` there are status lines while it takes time. Throws UserError for a source of
  /// z that the model does not have, and for what a metric of `wanted` needs and is not there: before the work begins.
  /// Processes share the work, and all find all numbers: those of a single one.
  Evaluation(const Model& model, const Split& split, const std::vector<std::string>& wanted,
             const DistanceOptions& options, bool shows_progress, const Communicator& among = alone());

  /// All numbers of one metric. What several metrics share is done once, until forget().
  std::vector<Finding> measure(const std::string& metric);
  /// The model has other weights now.
  void forget();

 private:
  const Inference& inference();
  Finding over_test_images(const std::string& metric, double value, const std::string& remark) const;
  std::vector<double> critic_scores();
  Finding mse_of_normal_images();
  Finding anomaly_detection(const std::string& metric);

  const Model& model_;
  const Split& split_;
  bool shows_progress_;
  const Communicator& among_;
  bool shares_reconstructions_;  ///< between pca-fd and metrics that infer z
  PixelDistances pixels_;
  std::optional<FeatureDistances> inception_, classifier_;
  std::optional<Inference> inference_;
};

/// How a detection of anomalies went over a training: mean and deviation of the last evaluations, as published, and the
/// best apart. None for other metrics, and where fewer than two evaluations are recorded in the folder.
std::optional<std::string> history_line(const std::filesystem::path& folder, const std::string& metric);

}  // namespace damc
