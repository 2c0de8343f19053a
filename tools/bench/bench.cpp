/// `damc bench`: times kernels, training iterations and sampling.

#include <omp.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tensor/file.h"
#include "tools/bench/suites.h"
#include "tools/commands.h"

namespace damc {
namespace {

struct BenchOptions {
  std::vector<std::string> suites = {"kernels", "iteration", "sampling"};
  std::vector<std::string> presets = {"svhn"};
  std::int64_t batch = 0;
  int repeat = 5;
  int threads = 0;
  std::string json;
  std::string device = "cpu";
};

void run_suite(BenchReport& report, const std::string& suite, const Config& config, std::int64_t batch) {
  fmt::print(stderr, "timing {} of {}\n", suite, config.preset);
  report.sample_gemm();
  if (suite == "kernels") bench_network_kernels(report, config, batch);
  if (suite == "iteration") bench_iteration(report, config, batch);
  if (suite == "sampling") bench_sampling(report, config, batch);
  report.sample_gemm();
}

void run(const BenchOptions& options) {
  if (options.threads > 0) omp_set_num_threads(options.threads);
  std::vector<Config> configs;
  for (const std::string& preset : options.presets) {
    ConfigBuilder builder(preset);
    builder.set("device", options.device);
    configs.push_back(builder.finish());
  }
  BenchReport report(parse_device(options.device), options.repeat);
  if (std::ranges::find(options.suites, "kernels") != options.suites.end()) bench_common_kernels(report);
  for (const std::string& suite : options.suites) {
    for (const Config& config : configs) run_suite(report, suite, config, options.batch);
  }
  report.print_table();
  if (!options.json.empty()) {
    const std::string text = report.to_json().dump(1) + "\n";
    atomic_write_file(options.json, std::as_bytes(std::span(text)));
  }
}

}  // namespace

void add_bench_command(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("bench", "Time kernels, training iterations and sampling");
  const auto options = std::make_shared<BenchOptions>();
  command.add_option("--suite", options->suites, "what to time: kernels, iteration, sampling")
      ->delimiter(',')
      ->check(CLI::IsMember({"kernels", "iteration", "sampling"}))
      ->capture_default_str();
  command.add_option("--preset", options->presets, "networks to time, by preset")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--batch", options->batch, "images; 0: 32 for kernels and iteration, 64 for sampling")
      ->check(CLI::Range(0, 65536))
      ->capture_default_str();
  command.add_option("--repeat", options->repeat, "measurements of which the median is reported")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command.add_option("--json", options->json, "write the results to this file as well");
  command.add_option("--device", options->device, "cpu, cuda or cuda:N")->capture_default_str();
  command.add_option("--threads", options->threads, "CPU threads; 0: OMP_NUM_THREADS, or all cores")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command.callback([options] { run(*options); });
}

}  // namespace damc
