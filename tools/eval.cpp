/// `damc eval`: numbers for a trained model, to the screen and to metrics.jsonl of the run.

#include <algorithm>
#include <optional>

#include "damc/metrics.h"
#include "damc/run_records.h"
#include "tensor/error.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/shared_options.h"
#include "tools/status_line.h"

namespace damc {
namespace {

struct EvalOptions {
  explicit EvalOptions(CLI::App& command) : run(command) {}

  RunOptions run;
  std::vector<std::string> metrics = {"mse"};
  std::string data;
  std::int64_t samples = 0;  ///< 0: all test images
};

/// One result: what is printed, and what is recorded besides.
struct Result {
  double value;
  std::string remark;
  nlohmann::ordered_json details = nlohmann::ordered_json::object();
};

/// Refuses what cannot be computed before anything slow begins.
void check(const EvalOptions& options, const Config& config) {
  for (const std::string& metric : options.metrics) {
    if (metric == "fid" || metric == "kid") {
      user_error(fmt::format("{} needs the Inception network, which this version does not have yet", metric),
                 "mse and auprc are available");
    }
    if (metric == "auprc" && config.holdout < 0) {
      user_error("auprc measures the detection of a held-out digit, but this run learned from all",
                 "train with --preset mnist-anomaly, or --set holdout=DIGIT on another MNIST preset");
    }
  }
}

Result measure_mse(const Inference& inference) { return {mse(inference), "per pixel value in [-1, 1]"}; }

Result measure_auprc(const Inference& inference, const Split& split, const Config& config) {
  const double share = anomaly_share(split.test_is_anomaly);
  return {
      auprc(anomaly_scores(inference), split.test_is_anomaly),
      fmt::format("digit {} is the anomaly; a random score gives {:.4f}, their share", config.holdout, share),
      {{"holdout", config.holdout}, {"anomaly_share", share}}};
}

Inference infer_shown(const Model& model, const Images& images) {
  StatusLine status(0, images.n, "image");
  return infer_all(model, images, [&](std::int64_t done) { status.update(done, "", false); });
}

void evaluate(const EvalOptions& options) {
  const LoadedRun loaded = options.run.load();
  const Config& config = loaded.model->config;
  check(options, config);
  Split split = load_data(config, options.data);
  if (options.samples > 0 && options.samples < split.test.n) {
    split_off(split.test, options.samples);
    if (config.holdout >= 0) split.test_is_anomaly.resize(static_cast<std::size_t>(options.samples));
  }
  const Inference inference = infer_shown(*loaded.model, split.test);
  fmt::print("{} after {} iterations\n", escaped(loaded.run.folder.native()), loaded.run.iteration);
  std::vector<Metric> found;  // written when all is shown: the folder may be read-only, or the disk full
  for (const std::string& metric : options.metrics) {
    const Result result = metric == "mse" ? measure_mse(inference) : measure_auprc(inference, split, config);
    fmt::print("{:<6} {:.6f}  over {} test images ({})\n", metric, result.value, split.test.n, result.remark);
    found.push_back({metric, result.value, split.test.n, loaded.run.iteration,
                     loaded.run.weights.filename().string(), config.seed, result.details});
  }
  std::fflush(stdout);
  for (const Metric& metric : found) append_metric(loaded.run.folder, metric);
}

}  // namespace

void add_eval_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("eval", "Measure a trained model on images it has not seen");
  auto options = std::make_shared<EvalOptions>(*command);
  command
      ->add_option(
          "--metric", options->metrics,
          "mse (reconstruction), auprc (anomaly detection, needs a held-out digit), fid, kid; several with "
          "commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(one_of({"mse", "auprc", "fid", "kid"}))
      ->capture_default_str();
  command
      ->add_option("--data", options->data, "folder of the data set (default: the one the run learned from)")
      ->type_name("DIR");
  command->add_option("--samples", options->samples, "only the first N test images (default: all)")
      ->type_name("N")
      ->check(whole_number(1, 1'000'000'000));
  command->callback([options] { evaluate(*options); });
}

}  // namespace damc
