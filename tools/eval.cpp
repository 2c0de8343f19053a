/// `damc eval`: numbers for a trained model, to the screen and to metrics.jsonl of the run.

#include <algorithm>
#include <optional>

#include "damc/metrics.h"
#include "damc/run_records.h"
#include "tensor/error.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/distances.h"
#include "tools/shared_options.h"
#include "tools/status_line.h"

namespace damc {
namespace {

struct EvalOptions {
  explicit EvalOptions(CLI::App& command) : run(command) {}

  RunOptions run;
  std::vector<std::string> metrics = {"mse"};
  std::string data;
  DistanceOptions distances;
};

/// Refuses what cannot be computed before anything slow begins.
void check(const EvalOptions& options, const Config& config) {
  for (const std::string& metric : options.metrics) {
    if (metric == "fid" || metric == "kid") {
      user_error(fmt::format("{} needs the Inception network, which this version does not have yet", metric),
                 "mse, auprc and pca-fd are available");
    }
    if (metric == "auprc" && config.holdout < 0) {
      user_error("auprc measures the detection of a held-out digit, but this run learned from all",
                 "train with --preset mnist-anomaly, or --set holdout=DIGIT on another MNIST preset");
    }
  }
}

/// The numbers of one model on one data set; inference is done once, when it is first needed.
class Evaluation {
 public:
  Evaluation(const Model& model, const Split& split, const DistanceOptions& options)
      : model_(model), split_(split), distances_(model, split, options) {}

  std::vector<Finding> measure(const std::string& metric) {
    if (metric == "pca-fd") return distances_.pca_fd();
    return {metric == "mse" ? measure_mse() : measure_auprc()};
  }

 private:
  const Inference& inference() {
    if (!inference_) {
      StatusLine status(0, split_.test.n, "image");
      inference_ = infer_all(model_, split_.test, [&](std::int64_t done) { status.update(done, "", false); });
    }
    return *inference_;
  }

  Finding over_test_images(const std::string& metric, double value, const std::string& remark) const {
    return {metric, value, split_.test.n, fmt::format("over {} test images", split_.test.n), remark};
  }
  Finding measure_mse() { return over_test_images("mse", mse(inference()), "per pixel value in [-1, 1]"); }
  Finding measure_auprc() {
    const double share = anomaly_share(split_.test_is_anomaly);
    const std::int64_t digit = model_.config.holdout;
    Finding found = over_test_images(
        "auprc", auprc(anomaly_scores(inference()), split_.test_is_anomaly),
        fmt::format("digit {} is the anomaly; a random score gives {:.4f}, their share", digit, share));
    found.details = {{"holdout", digit}, {"anomaly_share", share}};
    return found;
  }

  const Model& model_;
  const Split& split_;
  Distances distances_;
  std::optional<Inference> inference_;
};

void evaluate(const EvalOptions& options) {
  const LoadedRun loaded = options.run.load();
  const Config& config = loaded.model->config;
  check(options, config);
  Split split = load_data(config, options.data);
  const std::int64_t most = options.distances.samples.value_or(split.test.n);
  if (most < split.test.n) {
    split_off(split.test, most);
    if (config.holdout >= 0) split.test_is_anomaly.resize(static_cast<std::size_t>(most));
  }
  Evaluation evaluation(*loaded.model, split, options.distances);
  fmt::print("{} after {} iterations\n", escaped(loaded.run.folder.native()), loaded.run.iteration);
  std::vector<Metric> records;  // written when all is shown: the folder may be read-only, or the disk full
  for (const std::string& metric : options.metrics) {
    for (const Finding& found : evaluation.measure(metric)) {
      fmt::print("{:<6} {:.6f}  {} ({})\n", found.metric, found.value, found.over, found.remark);
      records.push_back({found.metric, found.value, found.images, loaded.run.iteration,
                         loaded.run.weights.filename().string(), config.seed, found.details});
    }
    std::fflush(stdout);
  }
  for (const Metric& record : records) append_metric(loaded.run.folder, record);
}

}  // namespace

void add_eval_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("eval", "Measure a trained model on images it has not seen");
  auto options = std::make_shared<EvalOptions>(*command);
  command
      ->add_option("--metric", options->metrics,
                   "mse (reconstruction), auprc (anomaly detection, needs a held-out digit), pca-fd (Frechet "
                   "distance of "
                   "pixels' principal components, of samples and of reconstructions: needs no other network, "
                   "and is not "
                   "FID), fid, kid; several with commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(one_of({"mse", "auprc", "pca-fd", "fid", "kid"}))
      ->capture_default_str();
  command
      ->add_option("--data", options->data, "folder of the data set (default: the one the run learned from)")
      ->type_name("DIR");
  command
      ->add_option("--samples", options->distances.samples,
                   "only the first N test images (default: all), and so many generated ones (pca-fd: 10000)")
      ->type_name("N")
      ->check(whole_number(1, 1'000'000'000));
  command
      ->add_option(
          "--from", options->distances.from,
          "where z of generated images comes from: damc, lebm, gaussian, as for 'damc sample' (default: the "
          "first that the run's method has)")
      ->type_name("SOURCE")
      ->check(one_of({"damc", "lebm", "gaussian"}));
  command->callback([options] { evaluate(*options); });
}

}  // namespace damc
