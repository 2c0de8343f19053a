/// damc train

#include "damc/run_folder.h"
#include "tensor/error.h"
#include "tools/commands.h"
#include "tools/shared_options.h"
#include "tools/training_memory.h"
#include "tools/training_run.h"

namespace damc {
namespace {

struct TrainOptions {
  explicit TrainOptions(CLI::App& command) : config(command) {}

  ConfigOptions config;
  std::string out = "runs", resume;
  bool dry_run = false;
};

/// The effective configuration, what it costs in memory, and the device; trains nothing.
void print_plan(const Config& config) {
  const Model model(config);
  fmt::print("{}\n", to_toml(config));
  const auto line = [](const char* what, std::int64_t count) {
    fmt::print("{:<10}{:>14} parameters\n", what, count);
  };
  line("generator", model.G.parameter_count());
  line("energy", model.E.parameter_count());
  line("sampler", model.Q.parameter_count());
  fmt::print("memory: {:.1f} MiB on a GPU, besides cuDNN's workspaces; the CPU's pool may take twice that\n",
             static_cast<double>(training_memory(config)) / 1048576.0);
  fmt::print("device: {}\n", model.device.str());
}

void train(const TrainOptions& options) {
  if (!options.resume.empty()) {
    const auto changes = options.config.only({"iterations", "device", "precision"});
    if (!changes) {
      user_error(
          "--resume continues a run as it was configured; only --iterations, --device and --precision may go "
          "with it");
    }
    TrainingRun::resume(options.resume, *changes).run();
    return;
  }
  const Config config = options.config.build();
  if (options.dry_run) {
    print_plan(config);
  } else {
    TrainingRun::start(config, options.out).run();
  }
}

}  // namespace

void add_train_command(CLI::App& program) {
  CLI::App& command =
      *program.add_subcommand("train", "learn generator, energy prior and sampler from images");
  const auto options = std::make_shared<TrainOptions>(command);
  for (const char* key : {"data", "iterations", "batch", "seed", "device", "precision", "holdout"}) {
    options->config.add_flag(key);
  }
  command.add_option("--out", options->out, "folder in which the run's own folder is made")
      ->capture_default_str();
  command.add_option("--resume", options->resume,
                     "continue this run exactly where it stood; --iterations, --device and --precision may "
                     "change");
  command.add_flag("--dry-run", options->dry_run,
                   "print the effective configuration, sizes and device, and stop");
  command.callback([options] { train(*options); });
}

}  // namespace damc
