/// damc train

#include <algorithm>

#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/processes/processes.h"
#include "tools/classifier_run.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/device_check.h"
#include "tools/local_processes.h"
#include "tools/network_run.h"
#include "tools/screen.h"
#include "tools/shared_options.h"
#include "tools/status_line.h"
#include "tools/together.h"
#include "tools/training_memory.h"
#include "tools/training_run.h"

namespace damc {
namespace {

constexpr const char* kEndings =
    "Ctrl-C, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU and a closed output pipe end a run after its "
    "iteration, with "
    "a "
    "state saved and exit code 128 + the signal; only a third Ctrl-C kills at once.";

struct TrainOptions {
  explicit TrainOptions(CLI::App& command) : config(command) {}

  ConfigOptions config;
  std::optional<std::string> out, resume;
  std::string init;
  bool dry_run = false, no_check = false;
  std::int64_t processes = 0, gpus = 0;  ///< to start; 0: this one works
};

/// The effective configuration, what it costs in memory, and the device.
void print_plan(const Model& model, std::int64_t processes = 1) {
  fmt::print("{}\n", to_toml(model.config));
  const auto line = [](const char* what, std::int64_t count) {
    fmt::print("{:<10}{:>14} parameters\n", what, count);
  };
  const auto named = [](const std::string& prefix) -> std::string {
    if (prefix == "G.") return "generator";
    if (prefix == "E.") return "energy";
    if (prefix == "Q.") return "sampler";
    return prefix.substr(0, prefix.size() - 1);
  };
  for (const auto& [prefix, network] : model.networks()) {
    if (prefix != "Q_dummy.") line(named(prefix).c_str(), network->parameter_count());
  }
  Config share = model.config;
  share.batch /= processes;
  fmt::print("memory: {:.1f} MiB on a GPU, besides cuDNN's workspaces; the CPU's pool may take twice that\n",
             static_cast<double>(training_memory(share)) / 1048576.0);
  fmt::print("device: {}\n", model.device.str());
}

void print_network_plan(const NetworkRun& run) {
  fmt::print("{}\n{:>24} parameters learn\n", to_toml(run.config()), run.training().parameter_count());
}

bool trains_model(const Config& config) { return find_preset(config.preset).trains == Trains::model; }

/// Trains two iterations to say how long all of them take; the first also sets things up.
void print_time(TrainingRun& run) {
  const std::int64_t left = run.model().config.iterations - run.progress().iterations;
  const std::vector<double> seconds = run.time_iterations(2);
  fmt::print(
      "time: two iterations took {:.3g} and {:.3g} s, so {} take about {}, besides pictures and "
      "evaluations\n",
      seconds[0], seconds[1], left, duration_text(seconds[1] * static_cast<double>(left)));
}

/// Throws UserError unless so many processes can share what a configuration trains.
void check_processes(const Config& config, std::int64_t processes) {
  if (processes > 1 && !trains_model(config))
    user_error(fmt::format("{} processes with preset {}", processes, config.preset), "start one");
  check_shares(config, processes);
}

/// What all processes begin with, the same for all.
RunStart begin(const TrainOptions& options, const Communicator& among) {
  RunStart start;
  const Part on_host = part_on_host(among);
  together(among, [&] {
    start = options.resume ? resumed_run(*options.resume, options.config, among.leads(), on_host)
                           : new_run(options.config.build(), options.init, on_host);
    if (const auto note = options.config.without_part(start.config)) start.notes.push_back(*note);
    check_processes(start.config, among.part().count);
  });
  const std::int64_t done = start.state ? start.state->progress.iterations : 0;
  const std::string state = fmt::format("images   {}\nstate    after {} iterations", start.data, done);
  together(among, [&] { check_alike(among, start.config, state); });
  return start;
}

/// A run at its start, in all processes, with what joins their devices.
class StandingRun {
 public:
  StandingRun(RunStart start, const Communicator& among) {
    together(among, [&] {
      if (among.part().count > 1) devices_ = backend(parse_device(start.config.device)).join(among);
    });
    together(among,
             [&] { run_ = std::make_unique<TrainingRun>(std::move(start), devices_ ? *devices_ : among); });
  }
  TrainingRun* operator->() const { return run_.get(); }
  TrainingRun& operator*() const { return *run_; }

 private:
  std::unique_ptr<Communicator> devices_;  // null: their own
  std::unique_ptr<TrainingRun> run_;
};

/// All that training would begin with, and nothing written.
void dry_run(const TrainOptions& options, const Communicator& among) {
  std::optional<Config> config;
  if (!options.resume) together(among, [&] { config = options.config.build(); });
  if (config && config->data.empty() && trains_model(*config)) {
    print_plan(Model(*config), among.part().count);
    if (const auto note = options.config.without_part(*config)) fmt::print("{}\n", *note);
    fmt::print("time: not measured; with --data DIR the images are read and two iterations timed\n");
    return;
  }
  RunStart start = begin(options, among);
  for (const std::string& note : start.notes) fmt::print("{}\n", note);
  if (!trains_model(start.config)) return print_network_plan(NetworkRun(std::move(start)));
  const StandingRun run(std::move(start), among);
  print_plan(run->model(), among.part().count);
  fmt::print("data: {}\n", run->progress().data);
  flush_output();
  print_time(*run);
}

void train(const TrainOptions& options, const Communicator& among) {
  const std::string out = options.out.value_or("runs");
  together(among, [&] {
    if (options.resume && options.out)
      user_error("--out with --resume: a run goes on in its own folder", "leave out one of the two");
    if (options.resume && !options.init.empty())
      user_error("--init with --resume: a run goes on with its own weights", "leave out one of the two");
    if (among.leads() && (options.out || !(options.resume || options.dry_run)))
      check_output_folder("--out", out);
  });
  if (options.dry_run) return dry_run(options, among);
  RunStart start = begin(options, among);
  if (!options.no_check) check_first_use(parse_device(start.config.device));
  if (!trains_model(start.config)) return NetworkRun(std::move(start)).run(out);
  StandingRun(std::move(start), among)->run(out);
}

/// Starts the processes that were asked for, with the arguments of this one but that they be started.
int start_processes(const TrainOptions& options, std::vector<std::string> arguments) {
  const auto is_own = [](const std::string& text) {
    return text.starts_with("--processes") || text.starts_with("--gpus");
  };
  const auto own = std::ranges::find_if(arguments, is_own);
  arguments.erase(own, own + (own->find('=') == own->npos ? 2 : 1));
  if (options.gpus > 0) {
    if (options.config.has_flag("device"))
      user_error(fmt::format("--gpus {} beside --device", options.gpus), "leave out one of the two");
    arguments.insert(arguments.end(), {"--device", "cuda"});
  }
  const std::int64_t count = std::max(options.processes, options.gpus);
  check_processes(options.resume ? options.config.of_run(*options.resume) : options.config.build(), count);
  return run_processes(count, arguments);
}

}  // namespace

void add_train_command(CLI::App& program, const std::vector<std::string>& arguments) {
  CLI::App& command =
      *program.add_subcommand("train", "learn generator, energy prior and sampler from images");
  const auto options = std::make_shared<TrainOptions>(command);
  for (const char* key : {"method", "data", "iterations", "batch", "batch_gpu", "seed", "device", "precision",
                          "holdout", "generator", "encoder", "vgg"}) {
    options->config.add_flag(key);
  }
  command.add_option("--out", options->out, "folder in which the run's own folder is made (default: runs)")
      ->type_name("DIR");
  command
      .add_option(
          "--resume", options->resume,
          "continue this run where it stood, exactly so unless --set and other options change what does not "
          "shape its networks; --data says where its images are now")
      ->type_name("RUN");
  command
      .add_option(
          "--init", options->init,
          "begin with the weights of this file: of a run, of the authors (.pth.tar), or others by their "
          "names; with a state of optimisers in it training goes on after its iterations")
      ->type_name("FILE");
  command.add_flag(
      "--dry-run", options->dry_run,
      "print the effective configuration, sizes and device, read the data, time two iterations, and "
      "stop; nothing is written");
  command.add_flag("--no-check", options->no_check,
                   "do not test a GPU when it is first used with this driver and these libraries");
  CLI::Option* processes = command.add_option("--processes", options->processes,
                                              "start N processes on this machine, which share every batch");
  CLI::Option* gpus =
      command.add_option("--gpus", options->gpus, "the same, each on a GPU of its own (--device cuda)");
  for (CLI::Option* option : {processes, gpus}) option->type_name("N")->check(whole_number(1, 1024));
  processes->excludes(gpus);
  command.footer(kEndings);  // after the keys
  command.callback([options, &arguments] {
    end_with(options->processes + options->gpus > 0
                 ? start_processes(*options, arguments)
                 : run_together([&](const Communicator& among) { train(*options, among); }));
  });
}

}  // namespace damc
