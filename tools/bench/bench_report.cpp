#include "tools/bench/bench_report.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

constexpr std::int64_t kGemmSize = 1024;
constexpr double kGemmGflop = 2e-9 * kGemmSize * kGemmSize * kGemmSize;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

/// The processor's name where the system tells it.
std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

}  // namespace

BenchReport::BenchReport(Device device, int repeat)
    : device_(device),
      repeat_(repeat),
      a_(Tensor::full({kGemmSize, kGemmSize}, 0.5, Dtype::f32, device)),
      b_(a_.clone()) {}

double BenchReport::clock() const {
  backend(device_).synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<double> BenchReport::times(int rounds, const std::function<void()>& work) const {
  const auto round = [&](int count) {
    const double start = clock();
    for (int i = 0; i < count; ++i) work();
    return (clock() - start) / count;
  };
  round(1);  // the first touch of new memory is not what is measured
  const int count = static_cast<int>(std::clamp(0.02 / round(1), 1.0, 1000.0));
  std::vector<double> seconds;
  for (int i = 0; i < rounds; ++i) seconds.push_back(round(count));
  return seconds;
}

void BenchReport::measure(BenchRow row, const std::function<void()>& work) {
  add(std::move(row), times(repeat_, work));
}

void BenchReport::add(BenchRow row, std::vector<double> seconds) {
  row.seconds = median(std::move(seconds));
  rows_.push_back(std::move(row));
}

void BenchReport::sample_gemm() {
  gemm_seconds_.push_back(times(1, [&] { matmul(a_, b_); })[0]);
}

double BenchReport::gemm_gflops() const { return kGemmGflop / median(gemm_seconds_); }

void BenchReport::print_table() const {
  fmt::print("{:<10} {:<29} {:<20} {:>5} {:>12} {:>10} {:>9} {:>8} {:>7}\n", "suite", "name", "part", "batch",
             "seconds", "GFLOP", "GFLOP/s", "of gemm", "GB/s");
  const double gemm = gemm_gflops();
  const auto cell = [](double value, int precision) {
    return value > 0.0 ? fmt::format("{:.{}f}", value, precision) : "-";
  };
  for (const BenchRow& row : rows_) {
    const double rate = row.gflop / row.seconds;
    fmt::print("{:<10} {:<29} {:<20} {:>5} {:>12.6f} {:>10} {:>9} {:>8} {:>7}\n", row.suite, row.name,
               row.part, row.batch, row.seconds, cell(row.gflop, 4), cell(rate, 1), cell(rate / gemm, 2),
               cell(row.gbytes / row.seconds, 1));
  }
  fmt::print("gemm {0}x{0}x{0}: {1:.1f} GFLOP/s (median of {2} measurements throughout)\n", kGemmSize, gemm,
             gemm_seconds_.size());
}

nlohmann::json BenchReport::to_json() const {
  const double gemm = gemm_gflops();
  nlohmann::json results = nlohmann::json::array();
  for (const BenchRow& row : rows_) {
    const double rate = row.gflop / row.seconds;
    results.push_back({{"suite", row.suite},
                       {"name", row.name},
                       {"part", row.part},
                       {"batch", row.batch},
                       {"device", device_.str()},
                       {"seconds", row.seconds},
                       {"gflop", row.gflop},
                       {"gflops", rate},
                       {"of_gemm", rate / gemm}});
    if (row.gbytes > 0.0) results.back()["gbytes_per_second"] = row.gbytes / row.seconds;
  }
  return {{"machine",
           {{"program", "damc"},
            {"device", device_.str()},
            {"name", cpu_name()},
            {"threads", omp_get_max_threads()},
            {"repeat", repeat_}}},
          {"gemm_gflops", gemm},
          {"results", std::move(results)}};
}

}  // namespace damc
