#include "tools/feature_distances.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "damc/metrics/digest.h"
#include "damc/metrics/frechet.h"
#include "damc/metrics/generated.h"
#include "damc/metrics/kid.h"
#include "damc/metrics/precision_recall.h"
#include "damc/nets/inception.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/io/weights.h"
#include "tensor/text.h"
#include "tools/cache_folder.h"
#include "tools/classifier_run.h"
#include "tools/shared_options.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFidMode = "fid-float";
constexpr const char* kClassifierMode = "classifier";

/// Whether a metric looks at single images, not at their statistics alone.
bool needs_features(const std::string& metric) {
  return metric == "kid" || metric == "precision" || metric == "recall";
}

/// Samples that the paper's FID is over.
std::int64_t published_samples(const Config& config) {
  return config.architecture == "celebahq" ? 5'000 : 50'000;
}

/// The number of a metric between samples and real images; remark and details as far as they are the metric's own.
Finding distance(const std::string& metric, const Statistics& made, const Statistics& real) {
  if (metric == "kid") {
    const Kid kid = kernel_distance(made.features, real.features);
    return {metric,
            kid.value,
            made.n,
            "",
            fmt::format("deviation {:.6f} over 100 subsets of {}; ", kid.deviation, kid.subset_size),
            {{"deviation", kid.deviation}, {"subset_size", kid.subset_size}}};
  }
  if (needs_features(metric)) {
    const PrecisionRecall found = precision_recall(real.features, made.features);
    return {metric,
            metric == "precision" ? found.precision : found.recall,
            made.n,
            "",
            "k = 3, in pool3 where the published ones are in VGG-16; ",
            {{"features", "pool3"}, {"k", 3}}};
  }
  const FrechetDistance found = frechet_distance(made, real);
  return {metric, found.value, made.n, "", "", {{"means", found.means}, {"clipped", found.clipped}}};
}

}  // namespace

const std::vector<std::string>& inception_metrics() {
  static const std::vector<std::string> names{"fid", "kid", "precision", "recall"};
  return names;
}

const std::vector<std::string>& feature_modes() {
  static const std::vector<std::string> names{kFidMode, kClassifierMode};
  return names;
}

FeatureSpace inception_space(const DistanceOptions& options, Device device) {
  StateDict weights = read_weights(options.inception).tensors;
  const auto net = std::make_shared<Inception>(weights, device);
  const auto shapes = Inception::shapes();
  std::erase_if(weights, [&](const auto& entry) { return !shapes.contains(entry.first); });
  return {kFidMode, sha256(weights), Inception::kFeatures,
          [net](const Tensor& images) { return (*net)(images); }};
}

FeatureSpace classifier_space(const DistanceOptions& options, Device device) {
  const std::shared_ptr<Classifier> net = load_classifier(options.classifier, device);
  return {kClassifierMode, sha256(net->state_dict("C.")), Classifier::kFeatures,
          [net, device](const Tensor& images) { return net->features(images.to(device)).value(); }};
}

FeatureDistances::FeatureDistances(const Model& model, const Split& split, FeatureSpace space,
                                   const DistanceOptions& options, const std::vector<std::string>& wanted,
                                   bool shows_progress, const Communicator& among)
    : model_(model),
      space_(std::move(space)),
      options_(options),
      shows_progress_(shows_progress),
      among_(among),
      real_(split.train),
      real_name_(model.config.architecture) {
  const fs::path given = options.reference;
  const bool is_folder = fs::is_directory(status_of(given));
  if (!options.reference_mode.empty() && (given.empty() || is_folder)) {
    user_error(fmt::format("--reference-mode {} without a file of statistics", options.reference_mode),
               "name it with --reference, or leave out the mode: images are measured in the one needed");
  }
  if (is_folder) {
    real_ = load_data(model.config, given.string()).train;
    real_name_ = given.string();
  } else if (!given.empty()) {
    read_given_reference(wanted);
  }
  split_off(real_, std::min(real_.n, kMostReferenceImages));
}

void FeatureDistances::read_given_reference(const std::vector<std::string>& wanted) {
  const std::string file = escaped(options_.reference);
  reference_ = read_reference(options_.reference);
  if (reference_->mode.empty()) {
    if (options_.reference_mode.empty()) {
      user_error(fmt::format("'{}' does not say in which mode its images were measured", file),
                 fmt::format("if it was the one that is needed here (fid-float: resized bilinearly without "
                             "antialiasing, not rounded to 8 bits), add --reference-mode {}",
                             space_.mode));
    }
    reference_->mode = options_.reference_mode;
    reference_->data = file;
  } else if (!options_.reference_mode.empty()) {
    user_error(fmt::format("--reference-mode {}: '{}' says itself that it is of mode {}",
                           options_.reference_mode, file, reference_->mode),
               "leave it out");
  }
  check_space(*reference_, space_, options_.reference);
  const auto metric = std::ranges::find_if(wanted, needs_features);
  if (metric != wanted.end() && !reference_->statistics.features.defined()) {
    user_error(fmt::format("{} compares single images, '{}' holds only their statistics", *metric, file),
               "give the folder of the images instead, or leave --reference out");
  }
}

/// The first process measures it, and the others read it where they share a cache.
const Reference& FeatureDistances::reference() {
  if (!reference_) {
    if (!among_.leads()) among_.wait();
    const std::string name = fmt::format("the first {} training images of {}", real_.n, real_name_);
    ShownProgress progress(real_.n, shows_progress_);
    reference_ = cached_reference(space_, real_, real_.n, name, cache_folder(),
                                  [&](std::int64_t done) { progress.update(done); });
    if (among_.leads()) among_.wait();
  }
  return *reference_;
}

const Statistics& FeatureDistances::samples() {
  if (!samples_) {
    const std::int64_t usual = space_.mode == kFidMode ? published_samples(model_.config) : kFewSamples;
    const std::int64_t count = options_.samples.value_or(usual);
    ShownProgress progress(count, shows_progress_);
    StatisticsStream stream(true);
    std::int64_t done = 0;
    const auto take = [&](const Tensor& features) {
      stream.add(features);
      progress.update(done += features.size(0));
    };
    for_samples(model_, options_.from, count, take, {among_, space_.features});
    samples_ = stream.finish();
  }
  return *samples_;
}

Finding FeatureDistances::measure(const std::string& metric) {
  const Reference& real = reference();
  const std::int64_t n = real.statistics.n;
  Finding found = distance(metric, samples(), real.statistics);
  found.over = fmt::format("{}/{} {}", found.images, n > 0 ? std::to_string(n) : "?", space_.mode);
  found.remark += fmt::format("from {}; against {}; network {:.8}", options_.from,
                              real.data.substr(0, real.data.find(", sha256")), space_.network);
  found.details.update({{"mode", space_.mode},
                        {"from", options_.from},
                        {"network_sha256", space_.network},
                        {"reference", real.data},
                        {"reference_images", n}});
  return found;
}

}  // namespace damc
