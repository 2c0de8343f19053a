/// `damc eval`: numbers for a trained model, to the screen and to metrics.jsonl of the run.

#include <fmt/ranges.h>

#include <algorithm>

#include "damc/authors_layout.h"
#include "damc/run_records.h"
#include "tensor/error.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/evaluation.h"
#include "tools/screen.h"
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
  std::string others;  ///< where the images are from, if they are others than the run learned from
  std::optional<Evaluation> evaluation;
};

/// Throws UserError for an option that has no part in any of the metrics.
void refuse_idle_options(const EvalOptions& options) {
  const DistanceOptions& d = options.distances;
  const auto some = [&](const auto& does) { return std::ranges::any_of(options.metrics, does); };
  const std::string reason = fmt::format("none of --metric {} uses it", fmt::join(options.metrics, ","));
  const auto refuse = [&](const char* option, const std::string& value, const char* users) {
    if (value.empty()) return;
    user_error(fmt::format("{} {}: {}", option, value, reason),
               fmt::format("leave it out; it is for {}", users));
  };
  if (!some(is_inception_metric)) refuse("--inception", d.inception, "fid, kid, precision and recall");
  if (!some([](const std::string& metric) { return metric == "classifier-fd"; }))
    refuse("--classifier", d.classifier, "classifier-fd");
  if (!some(compares_features)) {
    refuse("--reference", d.reference, "distances in a network's features");
    refuse("--reference-mode", d.reference_mode, "distances in a network's features");
  }
  if (!some(makes_samples)) refuse("--from", d.from, "distances of generated images");
  if (!some(reconstructs)) options.run.refuse_inference_options(reason);
}

/// The folder of images that are others than those a run learned from, by what its weights say; "" for the same.
std::string other_images(const LoadedRun& loaded, const Split& split, const std::string& folder) {
  const std::string learned = open_checkpoint(loaded.run.weights).metadata["data"];
  if (learned.empty() || learned == fingerprint(split)) return {};
  return std::filesystem::absolute(folder.empty() ? loaded.model->config.data : folder)
      .lexically_normal()
      .string();
}

void begin(const EvalOptions& options, const Communicator& among, EvalStart& start) {
  together(among, [&] {
    start.loaded = options.run.load(among);
    const Config& config = start.loaded->model->config;
    check_metrics(options.metrics, config, options.distances);
    refuse_idle_options(options);
    const std::string& from = options.distances.from;
    if (!from.empty() && from != "damc" && std::ranges::none_of(options.metrics, reconstructs)) {
      options.run.refuse_sampler_options(fmt::format("samples from {} do not come from the sampler", from));
    }
    start.split = load_data(config, options.data);
    start.others = other_images(*start.loaded, start.split, options.data);
    start.split = first_test_images(std::move(start.split), options.distances.samples);
    start.evaluation.emplace(*start.loaded->model, start.split, options.metrics, options.distances,
                             among.leads(), among);
  });
  together(among, [&] {
    check_alike(among, start.loaded->model->config,
                fmt::format("{}\nimages   {}", state_of(start.loaded->run), fingerprint(start.split)));
  });
}

/// Appends to metrics.jsonl, once the numbers are shown; why that cannot be done, if so.
std::string keep(const std::filesystem::path& folder, const std::vector<Metric>& records) {
  try {
    for (const Metric& record : records) append_metric(folder, record);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

void evaluate(const EvalOptions& options, const Communicator& among) {
  EvalStart start;
  begin(options, among, start);
  const LoadedRun& loaded = *start.loaded;
  const Config& config = loaded.model->config;
  fmt::print("{} after {} iterations{}\n", escaped(loaded.run.folder.native()), loaded.run.iteration,
             sampler_note(config));
  if (!start.others.empty())
    fmt::print("note: images that the run did not learn from: {}\n", fingerprint(start.split));
  std::string failure;  // told at the end: the folder may be read-only, or the disk full
  for (const std::string& metric : options.metrics) {
    std::vector<Metric> records;
    for (Finding& found : start.evaluation->measure(metric)) {
      if (!sampler_note(config).empty()) {
        found.details.update(
            {{"solver", name(config.solver)}, {"solver_steps", sampling_steps(config)}, {"eta", config.eta}});
      }
      if (!start.others.empty()) found.details["data"] = start.others;
      fmt::print("{:<6} {:.6f}  {} ({})\n", found.metric, found.value, found.over, found.remark);
      records.push_back({found.metric, found.value, found.images, loaded.run.iteration,
                         loaded.run.weights.filename().string(), config.seed, found.details});
    }
    if (const auto line = history_line(loaded.run.folder, metric)) fmt::print("{}\n", *line);
    flush_output();
    if (among.leads() && failure.empty()) failure = keep(loaded.run.folder, records);
  }
  ENSURE(failure.empty(), "{}", failure);
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
