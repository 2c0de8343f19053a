/// `damc eval`: numbers for a trained model, to the screen and to metrics.jsonl of the run.

#include <algorithm>

#include "damc/run_records.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/evaluation.h"
#include "tools/shared_options.h"
#include "tools/together.h"

namespace damc {
namespace {

constexpr const char* kMetrics =
    "mse (reconstruction); mse-normal (of the digits that are not held out); auprc, auprc-reconstruction "
    "(detection of a held-out digit as an anomaly, by the "
    "posterior and by the reconstruction error alone); pca-fd (Frechet distance of pixels' principal "
    "components, of samples and of reconstructions: needs no other network, and is not FID); fid, kid, "
    "precision, recall (in Inception-v3); classifier-fd (in a classifier of digits); several with commas";
constexpr const char* kSamples =
    "only the first N test images (default: all), and so many generated ones (default: the paper's 50,000, "
    "of celebahq 5,000; 10,000 for pca-fd and classifier-fd)";
constexpr const char* kFrom =
    "where z of generated images comes from: damc, lebm, gaussian and others, as for 'damc sample' (default: "
    "the first "
    "that the run's method has)";
constexpr const char* kInception =
    "weights of Inception-v3 for fid, kid, precision and recall: pytorch-fid's "
    "pt_inception-2015-12-05-6726825d.pth, or the same as safetensors";
constexpr const char* kClassifier =
    "run folder of a classifier of digits, as 'damc train --preset mnist-classifier' makes one";
constexpr const char* kReference =
    "real images to compare with in a network's features: a folder, or a file of statistics, pytorch-fid's "
    ".npz or "
    "one of this program's cache (default: the first 50,000 training images, measured once)";

struct EvalOptions {
  explicit EvalOptions(CLI::App& command) : run(command) {}

  RunOptions run;
  std::vector<std::string> metrics = {"mse"};
  std::string data;
  DistanceOptions distances;
};

/// What all processes begin with.
struct EvalStart {
  std::optional<LoadedRun> loaded;
  Split split;
  std::optional<Evaluation> evaluation;
};

void begin(const EvalOptions& options, const Communicator& among, EvalStart& start) {
  together(among, [&] {
    start.loaded = options.run.load(among);
    const Config& config = start.loaded->model->config;
    check_metrics(options.metrics, config, options.distances);
    const std::string& from = options.distances.from;
    if (!from.empty() && from != "damc" && std::ranges::none_of(options.metrics, reconstructs)) {
      options.run.refuse_sampler_options(fmt::format("samples from {} do not come from the sampler", from));
    }
    start.split = first_test_images(load_data(config, options.data), options.distances.samples);
    start.evaluation.emplace(*start.loaded->model, start.split, options.metrics, options.distances,
                             among.leads(), among);
  });
  together(among, [&] {
    check_alike(among, start.loaded->model->config,
                fmt::format("{}\nimages   {}", state_of(start.loaded->run), fingerprint(start.split)));
  });
}

void evaluate(const EvalOptions& options, const Communicator& among) {
  EvalStart start;
  begin(options, among, start);
  const LoadedRun& loaded = *start.loaded;
  const Config& config = loaded.model->config;
  fmt::print("{} after {} iterations{}\n", escaped(loaded.run.folder.native()), loaded.run.iteration,
             sampler_note(config));
  const std::string weights = loaded.run.weights.filename().string();
  std::vector<Metric> records;  // written when all is shown: the folder may be read-only, or the disk full
  for (const std::string& metric : options.metrics) {
    for (Finding& found : start.evaluation->measure(metric)) {
      if (!sampler_note(config).empty()) {
        found.details.update(
            {{"solver", name(config.solver)}, {"solver_steps", sampling_steps(config)}, {"eta", config.eta}});
      }
      fmt::print("{:<6} {:.6f}  {} ({})\n", found.metric, found.value, found.over, found.remark);
      records.push_back({found.metric, found.value, found.images, loaded.run.iteration, weights, config.seed,
                         found.details});
    }
    if (const auto line = history_line(loaded.run.folder, metric)) fmt::print("{}\n", *line);
    std::fflush(stdout);
  }
  if (!among.leads()) return;
  for (const Metric& record : records) append_metric(loaded.run.folder, record);
}

}  // namespace

void add_eval_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("eval", "Measure a trained model on images it has not seen");
  auto options = std::make_shared<EvalOptions>(*command);
  command->add_option("--metric", options->metrics, kMetrics)
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(one_of(metric_names()))
      ->capture_default_str();
  command
      ->add_option("--data", options->data, "folder of the data set (default: the one the run learned from)")
      ->type_name("DIR");
  DistanceOptions& distances = options->distances;
  command->add_option("--samples", distances.samples, kSamples)
      ->type_name("N")
      ->check(whole_number(1, 1'000'000'000));
  command->add_option("--from", distances.from, kFrom)->type_name("SOURCE")->check(one_of(source_names()));
  command->add_option("--inception", distances.inception, kInception)->type_name("FILE");
  command->add_option("--classifier", distances.classifier, kClassifier)->type_name("RUN");
  command->add_option("--reference", distances.reference, kReference)->type_name("STATS|DIR");
  command
      ->add_option("--reference-mode", distances.reference_mode,
                   "how the images of an .npz file became features, which it does not say")
      ->check(one_of(feature_modes()));
  options->run.add_sampler_options(*command);
  options->run.add_inference_options(*command);
  command->callback(
      [options] { end_with(run_together([&](const Communicator& among) { evaluate(*options, among); })); });
}

}  // namespace damc
