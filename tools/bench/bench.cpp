/// `damc bench`: times kernels, training iterations and sampling, or prints what a GPU cannot be faster than.

#include <omp.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tools/bench/floors.h"
#include "tools/bench/scaling.h"
#include "tools/bench/suites.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/screen.h"
#include "tools/shared_options.h"

namespace damc {
namespace {

struct BenchOptions {
  std::vector<std::string> suites;
  std::vector<std::string> presets = {"svhn"};
  std::vector<std::string> settings;  // KEY=VALUE
  std::int64_t batch = 0;
  std::optional<int> repeat, threads;
  std::optional<std::string> json;
  std::string device = "cpu";
  bool floors = false, scaling = false;
  std::string gpu = "h200";
  std::optional<std::string> precision;
};

constexpr int kRepeat = 5;

std::string precision_name(const BenchOptions& options) { return options.precision.value_or("fp32"); }

bool has_suite(const BenchOptions& options, const char* suite) {
  return std::ranges::find(options.suites, suite) != options.suites.end();
}

/// Refuses what would have no effect: nothing is timed on a CPU for floors, nor for the errors against f64.
void refuse_idle(const BenchOptions& options) {
  const bool only_floors = options.floors && parse_device(options.device).type == DeviceType::cpu;
  const bool only_errors =
      std::ranges::all_of(options.suites, [](const auto& s) { return s == "precision"; });
  if (!only_floors && !only_errors) return;
  const char* where = only_floors ? "--floors on a CPU" : "--suite precision";
  if (options.repeat) user_error(fmt::format("--repeat with {}", where), "nothing is timed; leave it out");
  if (only_floors && options.threads)
    user_error("--threads with --floors on a CPU", "nothing is computed; leave it out");
  if (only_errors && options.precision) {
    user_error("--precision with --suite precision", "it measures all three; leave it out");
  }
}

/// The options with their suites, once they fit together.
BenchOptions checked(BenchOptions options) {
  if (options.suites.empty()) {
    options.suites = {"iteration", "sampling"};
    if (!options.floors) options.suites.insert(options.suites.begin(), "kernels");
  }
  for (const char* suite : {"kernels", "precision"}) {
    if (options.floors && has_suite(options, suite)) {
      user_error(fmt::format("--floors with --suite {}", suite),
                 "floors are those of iteration and sampling");
    }
  }
  refuse_idle(options);
  if (options.scaling && options.json)
    user_error("--json with --scaling", "it is only printed; leave out one of the two");
  if (options.json) {
    check_output_file("--json", *options.json);
    if (has_suite(options, "precision")) {
      user_error("--json with --suite precision",
                 "errors against f64 are only printed; leave out one of the two");
    }
  }
  return options;
}

/// Where tables go: not into the JSON of --json /dev/stdout.
std::FILE* table_of(const BenchOptions& options) {
  return options.json && is_standard_output(*options.json) ? stderr : stdout;
}

void write_json(const BenchOptions& options, nlohmann::json report) {
  if (!options.json) return;
  if (!options.settings.empty()) report["set"] = options.settings;
  const std::string text = report.dump(1) + "\n";
  atomic_write_file(*options.json, std::as_bytes(std::span(text)));
}

void run_suite(BenchReport& report, const std::string& suite, const Config& config, std::int64_t batch) {
  if (suite == "precision") return print_precision(config, batch);
  show_aside(fmt::format("timing {} of {}\n", suite, config.preset));
  report.sample_gemm();
  if (suite == "kernels") bench_network_kernels(report, config, batch);
  if (suite == "iteration") bench_iteration(report, config, batch);
  if (suite == "sampling") bench_sampling(report, config, batch);
  report.sample_gemm();
}

/// Throws UserError for a key that is an option here, or that decides what is trained: the parts are those of damc.
void set(ConfigBuilder& builder, const std::string& setting) {
  const auto [key, value] = split_assignment("--set", setting);
  if (key == "batch" || key == "device" || key == "precision")
    user_error(fmt::format("--set {}", setting), fmt::format("give it as --{} {}", key, value));
  if (key == "method")
    user_error(fmt::format("--set {}", setting), "the suites time the parts of method damc; leave it out");
  builder.set(key, value);
}

std::vector<Config> configurations(const BenchOptions& options) {
  std::vector<Config> configs;
  for (const std::string& preset : options.presets) {
    ConfigBuilder builder(preset);
    for (const std::string& setting : options.settings) set(builder, setting);
    builder.set("device", options.device);
    builder.set("precision", precision_name(options));
    configs.push_back(builder.finish());
  }
  return configs;
}

/// What was measured for a counted part, if it was.
std::optional<double> measured(const BenchReport* report, const FloorsReport::Row& row) {
  if (!report) return {};
  const auto found = std::ranges::find_if(report->rows(), [&](const BenchRow& timed) {
    return timed.suite == row.suite && timed.name == row.name && timed.part == row.counted.part;
  });
  return found == report->rows().end() ? std::nullopt : std::optional(found->seconds);
}

/// Iterations count as many images as the preset trains on, sampling 64, unless --batch says otherwise. On a GPU
/// both are timed as well.
void run_floors(const BenchOptions& options) {
  FloorsReport report(find_gpu(options.gpu), precision_name(options));
  const Device device = parse_device(options.device);
  std::optional<BenchReport> timed;
  if (device.type != DeviceType::cpu)
    timed.emplace(device, parse_precision(precision_name(options)), options.repeat.value_or(kRepeat));
  const auto add = [&](const char* suite, const Config& config, std::int64_t images, const auto& timing,
                       const auto& counting) {
    if (!has_suite(options, suite)) return;
    if (timed) timing(*timed, config, images);
    for (CountedPart& part : counting(config, images)) {
      FloorsReport::Row row{suite, config.preset, std::move(part), images, {}};
      row.seconds = measured(timed ? &*timed : nullptr, row);
      report.add(std::move(row));
    }
  };
  const auto untimed = [](BenchReport&, const Config&, std::int64_t) {};  // needs the weights
  for (const Config& config : configurations(options)) {
    if (find_preset(config.preset).trains == Trains::inversion) {
      const std::int64_t images = options.batch ? options.batch : config.batch;
      add("iteration", config, images, untimed, count_inversion_iteration);
      add("sampling", config, images, untimed, count_inversion);
      continue;
    }
    add("iteration", config, options.batch ? options.batch : config.batch, bench_iteration, count_iteration);
    add("sampling", config, options.batch ? options.batch : 64, bench_sampling, count_sampling);
  }
  report.print_table(table_of(options));
  write_json(options, report.to_json());
}

void run_scaling(const BenchOptions& options) {
  const Gpu& gpu = find_gpu(options.gpu);
  fmt::print("in each direction, by data sheets, and assumed for each step of a sum:");
  for (const Link& link : links())
    fmt::print(" {} {:g} GB/s, {:g} us;", link.title, link.bandwidth, 1e6 * link.latency);
  fmt::print("\n");
  for (Config& config : configurations(options)) {
    if (options.batch) config.batch = options.batch;
    print_scaling(config, gpu, precision_name(options), stdout);
  }
}

void run(const BenchOptions& options) {
  if (options.threads.value_or(0) > 0) omp_set_num_threads(*options.threads);
  if (options.scaling) return run_scaling(options);
  if (options.floors) return run_floors(options);
  const std::vector<Config> configs = configurations(options);
  note_emulation(configs[0]);
  BenchReport report(parse_device(options.device), parse_precision(precision_name(options)),
                     options.repeat.value_or(kRepeat));
  if (has_suite(options, "kernels")) bench_common_kernels(report);
  for (const std::string& suite : options.suites) {
    for (const Config& config : configs) run_suite(report, suite, config, options.batch);
  }
  if (report.rows().empty()) return;
  report.print_table(table_of(options));
  write_json(options, report.to_json());
}

}  // namespace

void add_bench_command(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("bench", "Time kernels, training iterations and sampling");
  const auto options = std::make_shared<BenchOptions>();
  command
      .add_option("--suite", options->suites,
                  "what to time: kernels, iteration, sampling (default: all; floors: of the last two); or "
                  "precision, the errors against f64")
      ->delimiter(',')
      ->check(one_of({"kernels", "iteration", "sampling", "precision"}));
  command.add_option("--preset", options->presets, "networks to time, by preset")
      ->delimiter(',')
      ->capture_default_str();
  command
      .add_option("--set", options->settings,
                  "change one key of the presets, such as ngf=32; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command
      .add_option(
          "--batch", options->batch,
          "images; 0: 32 for kernels and iteration (the preset's own for floors), 64 for sampling, 4 for "
          "precision")
      ->type_name("N")
      ->check(whole_number(0, 65536))
      ->capture_default_str();
  command
      .add_option("--repeat", options->repeat,
                  fmt::format("measurements of which the median is reported (default: {})", kRepeat))
      ->type_name("N")
      ->check(whole_number(1, 10000));
  command.add_option("--json", options->json, "write the results to this file as well");
  command.add_option("--device", options->device, "cpu, cuda or cuda:N")->capture_default_str();
  command.add_option("--threads", options->threads, "CPU threads (default: OMP_NUM_THREADS, or all cores)")
      ->type_name("N")
      ->check(whole_number(0, 4096));
  CLI::Option* floors = command.add_flag(
      "--floors", options->floors,
      "count operations, bytes and launches of iteration and sampling and print what a GPU cannot "
      "be faster than; times them as well where --device is a GPU");
  command
      .add_flag("--scaling", options->scaling,
                "of several GPUs that share every batch: what they send each other, and how much faster than "
                "one they can be")
      ->needs(floors);
  command.add_option("--gpu", options->gpu, "whose floors: h200, h100, a100, a6000")
      ->needs(floors)
      ->capture_default_str();
  command
      .add_option(
          "--precision", options->precision,
          "arithmetic: fp32 (default), tf32, bf16 (of the kernels only convolutions take its operands)")
      ->check(one_of({"fp32", "tf32", "bf16"}));
  command.callback([options] { run(checked(*options)); });
}

}  // namespace damc
