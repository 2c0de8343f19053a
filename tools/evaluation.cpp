#include "tools/evaluation.h"

#include <algorithm>
#include <sstream>

#include "damc/metrics/auprc.h"
#include "damc/run_records.h"
#include "tensor/error.h"
#include "tensor/text.h"

namespace damc {
namespace {

constexpr const char* kAuprc = "auprc";
constexpr const char* kClassifierFd = "classifier-fd";
constexpr const char* kMseNormal = "mse-normal";
constexpr const char* kPcaFd = "pca-fd";
constexpr const char* kAuprcReconstruction = "auprc-reconstruction";

bool detects_anomalies(const std::string& metric) {
  return metric == kAuprc || metric == kAuprcReconstruction;
}

/// Whether it tells a held-out digit from the others.
bool needs_holdout(const std::string& metric) { return detects_anomalies(metric) || metric == kMseNormal; }

/// Whether it cannot be measured where no z of an image is found.
bool finds_z(const std::string& metric) {
  return metric == "mse" || metric == kMseNormal || metric == kAuprcReconstruction;
}

/// Throws UserError unless there is a classifier, and images for it.
void check_digits(const Config& config, const DistanceOptions& options) {
  if (config.architecture != "mnist") {
    user_error(
        fmt::format("{} is for digits, this run makes images of {}", kClassifierFd, config.architecture),
        "pca-fd and fid are for all");
  }
  if (options.classifier.empty()) {
    user_error(fmt::format("{} needs a classifier of digits", kClassifierFd),
               fmt::format("damc train --preset {} --data data/mnist makes one in about a minute; name its "
                           "folder with --classifier RUN (while training: --set classifier=RUN)",
                           kClassifierPreset));
  }
}

/// The options with a source of z that the model has.
DistanceOptions with_source(const Model& model, DistanceOptions options) {
  if (options.from.empty()) options.from = model.sources().front();
  if (!model.has_source(options.from)) {
    user_error(fmt::format("--from {}: a run of method {} has no such latent vectors", options.from,
                           model.config.method),
               fmt::format("it has {}, and gaussian", fmt::join(model.sources(), ", ")));
  }
  return options;
}

}  // namespace

const std::vector<std::string>& metric_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all{"mse", kMseNormal, kAuprc, kAuprcReconstruction, kPcaFd};
    all.insert(all.end(), inception_metrics().begin(), inception_metrics().end());
    all.push_back(kClassifierFd);
    return all;
  }();
  return names;
}

bool is_inception_metric(const std::string& metric) {
  return std::ranges::find(inception_metrics(), metric) != inception_metrics().end();
}

bool compares_features(const std::string& metric) {
  return is_inception_metric(metric) || metric == kClassifierFd;
}

bool reconstructs(const std::string& metric) { return !compares_features(metric); }

bool makes_samples(const std::string& metric) { return compares_features(metric) || metric == kPcaFd; }

void check_metrics(const std::vector<std::string>& metrics, const Config& config,
                   const DistanceOptions& options) {
  for (const std::string& metric : metrics) {
    if (std::ranges::count(metrics, metric) > 1)
      user_error(fmt::format("metric {} is asked for twice", metric), "leave one of them out");
    if (std::ranges::find(metric_names(), metric) == metric_names().end()) {
      user_error(fmt::format("unknown metric '{}'", metric),
                 did_you_mean(metric, metric_names()) +
                     fmt::format("choose from {}", fmt::join(metric_names(), ", ")));
    }
    if (finds_z(metric) && method_parts(config.method).critic == CriticKind::energy) {
      user_error(
          fmt::format("{} needs the z of an image, which method {} does not find", metric, config.method),
          "auprc and distances of samples, such as pca-fd, are for it");
    }
    if (needs_holdout(metric) && config.holdout < 0) {
      user_error(
          fmt::format("{} tells a held-out digit from the others, but this run learned from all", metric),
          "train with --preset mnist-anomaly, or --set holdout=DIGIT on another MNIST preset");
    }
    if (makes_samples(metric) && options.samples && *options.samples < 2)
      user_error(fmt::format("{} of {} sample", metric, *options.samples),
                 "a distance of sets needs two or more");
    if (is_inception_metric(metric) && options.inception.empty()) {
      user_error(
          fmt::format("{} needs the weights of Inception-v3, which do not come with this program", metric),
          "give pt_inception-2015-12-05-6726825d.pth, from the releases of mseitzer/pytorch-fid on GitHub, "
          "with --inception "
          "FILE (while training: --set inception=FILE); pca-fd needs no network");
    }
    if (metric == kClassifierFd) check_digits(config, options);
  }
}

DistanceOptions training_options(const Config& config) {
  DistanceOptions options;
  if (config.eval_samples > 0) options.samples = config.eval_samples;
  options.inception = config.inception;
  options.classifier = config.classifier;
  return options;
}

std::vector<std::string> training_metrics(const Config& config) {
  std::vector<std::string> metrics;
  std::istringstream list(config.eval_metrics);
  for (std::string metric; std::getline(list, metric, ',');) metrics.push_back(metric);
  if (metrics.empty()) {
    metrics = {"mse"};
    if (config.holdout >= 0) metrics.insert(metrics.end(), {kAuprc, kAuprcReconstruction});
    if (method_parts(config.method).critic == CriticKind::energy) std::erase_if(metrics, finds_z);
    if (metrics.empty()) metrics = {kPcaFd};
  }
  check_metrics(metrics, config, training_options(config));
  return metrics;
}

Split first_test_images(Split split, std::optional<std::int64_t> most) {
  const std::int64_t n = std::min(most.value_or(split.test.n), split.test.n);
  split_off(split.test, n);
  if (!split.test_is_anomaly.empty()) split.test_is_anomaly.resize(static_cast<std::size_t>(n));
  return split;
}

Evaluation::Evaluation(const Model& model, const Split& split, const std::vector<std::string>& wanted,
                       const DistanceOptions& options, bool shows_progress, const Communicator& among)
    : model_(model),
      split_(split),
      shows_progress_(shows_progress),
      among_(among),
      shares_reconstructions_(std::ranges::find(wanted, kPcaFd) != wanted.end() &&
                              std::ranges::any_of(wanted,
                                                  [&](const std::string& metric) {
                                                    return finds_z(metric) ||
                                                           (metric == kAuprc && !model.critic);
                                                  })),
      pixels_(model, split, with_source(model, options), shows_progress, among) {
  const DistanceOptions complete = with_source(model, options);
  if (std::ranges::any_of(wanted, is_inception_metric)) {
    inception_.emplace(model, split, inception_space(options, model.device), complete, wanted, shows_progress,
                       among);
  }
  if (std::ranges::find(wanted, kClassifierFd) != wanted.end()) {
    classifier_.emplace(model, split, classifier_space(options, model.device), complete, wanted,
                        shows_progress, among);
  }
}

std::vector<Finding> Evaluation::measure(const std::string& metric) {
  if (metric == kPcaFd) {
    if (shares_reconstructions_) inference();
    return pixels_.measure();
  }
  if (is_inception_metric(metric)) return {inception_->measure(metric)};
  if (metric == kClassifierFd) return {classifier_->measure(metric)};
  if (detects_anomalies(metric)) return {anomaly_detection(metric)};
  if (metric == kMseNormal) return {mse_of_normal_images()};
  return {over_test_images(metric, mse(inference()), "per pixel value in [-1, 1]")};
}

void Evaluation::forget() {
  inference_.reset();
  pixels_.forget();
  if (inception_) inception_->forget();
  if (classifier_) classifier_->forget();
}

const Inference& Evaluation::inference() {
  if (!inference_) {
    const TakeImages take = shares_reconstructions_ ? pixels_.reconstructions() : TakeImages{};
    ShownProgress progress(split_.test.n, shows_progress_);
    inference_ = infer_all(
        model_, split_.test, [&](std::int64_t done) { progress.update(done); }, take, among_);
  }
  return *inference_;
}

std::vector<double> Evaluation::critic_scores() {
  ShownProgress progress(split_.test.n, shows_progress_);
  return damc::critic_scores(
      model_, split_.test, [&](std::int64_t done) { progress.update(done); }, among_);
}

Finding Evaluation::over_test_images(const std::string& metric, double value,
                                     const std::string& remark) const {
  return {metric,        value,
          split_.test.n, fmt::format("over {} test images", split_.test.n),
          remark,        start_details(model_.config)};
}

Finding Evaluation::mse_of_normal_images() {
  const Inference& found = inference();
  double sum = 0.0;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < found.squared_error.size(); ++i) {
    if (split_.test_is_anomaly[i] != 0) continue;
    sum += found.squared_error[i];
    ++count;
  }
  ENSURE(count > 0, "{}: all of {} test images are of the held-out digit", kMseNormal,
         split_.test_is_anomaly.size());
  return {kMseNormal,
          sum / static_cast<double>(count * found.image_size),
          count,
          fmt::format("over {} test images of other digits than {}", count, model_.config.holdout),
          "per pixel value in [-1, 1]",
          start_details(model_.config)};
}

Finding Evaluation::anomaly_detection(const std::string& metric) {
  const std::vector<double> scores = metric == kAuprcReconstruction ? inference().squared_error
                                     : model_.critic                ? critic_scores()
                                                                    : anomaly_scores(inference());
  const double share = anomaly_share(split_.test_is_anomaly),
               least = least_possible_auprc(split_.test_is_anomaly);
  const std::int64_t digit = model_.config.holdout;
  Finding found = over_test_images(
      metric, auprc(scores, split_.test_is_anomaly),
      fmt::format(
          "digit {} is the anomaly; a random score gives {:.4f}, their share; the least possible is {:.4f}",
          digit, share, least));
  found.details.update({{"holdout", digit}, {"anomaly_share", share}, {"least_possible", least}});
  return found;
}

std::optional<std::string> history_line(const std::filesystem::path& folder, const std::string& metric) {
  if (!detects_anomalies(metric)) return {};
  const MetricHistory past = metric_history(read_metrics(folder), metric);
  if (past.evaluations < 2) return {};
  return fmt::format(
      "{}: mean {:.4f}, deviation {:.4f} of the last {} evaluations in training; the best of {}, {:.4f} "
      "after iteration "
      "{}, was chosen by the images it is measured on",
      metric, past.mean, past.deviation, past.last, past.evaluations, past.best, past.best_iteration);
}

}  // namespace damc
