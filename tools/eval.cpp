/// `damc eval`: numbers for a trained model, to the screen and to metrics.jsonl of the run.

#include "damc/run_records.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/evaluation.h"
#include "tools/shared_options.h"

namespace damc {
namespace {

struct EvalOptions {
  explicit EvalOptions(CLI::App& command) : run(command) {}

  RunOptions run;
  std::vector<std::string> metrics = {"mse"};
  std::string data;
  DistanceOptions distances;
};

void evaluate(const EvalOptions& options) {
  const LoadedRun loaded = options.run.load();
  const Config& config = loaded.model->config;
  check_metrics(options.metrics, config);
  const Split split = first_test_images(load_data(config, options.data), options.distances.samples);
  Evaluation evaluation(*loaded.model, split, options.distances, true);
  fmt::print("{} after {} iterations\n", escaped(loaded.run.folder.native()), loaded.run.iteration);
  const std::string weights = loaded.run.weights.filename().string();
  std::vector<Metric> records;  // written when all is shown: the folder may be read-only, or the disk full
  for (const std::string& metric : options.metrics) {
    for (const Finding& found : evaluation.measure(metric)) {
      fmt::print("{:<6} {:.6f}  {} ({})\n", found.metric, found.value, found.over, found.remark);
      records.push_back({found.metric, found.value, found.images, loaded.run.iteration, weights, config.seed,
                         found.details});
    }
    if (const auto line = history_line(loaded.run.folder, metric)) fmt::print("{}\n", *line);
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
                   "mse (reconstruction), auprc and auprc-reconstruction (detection of a held-out digit as "
                   "an anomaly, by the "
                   "posterior and by the reconstruction error alone), pca-fd (Frechet "
                   "distance of "
                   "pixels' principal components, of samples and of reconstructions: needs no other network, "
                   "and is not "
                   "FID), fid, kid; several with commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(one_of(metric_names()))
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
