#include "tools/bench/bench_report.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

// Of the matrix product that is the measure; a GPU has not even started before one of the first size is done.
constexpr std::int64_t kCpuGemmSize = 1024, kGpuGemmSize = 8192;

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

BenchReport::BenchReport(Device device, Precision precision, int repeat)
    : device_(device),
      precision_(precision),
      repeat_(repeat),
      gemm_size_(device.type == DeviceType::cpu ? kCpuGemmSize : kGpuGemmSize),
      a_(Tensor::full({gemm_size_, gemm_size_}, 0.5, Dtype::f32, device)),
      b_(a_.clone()) {
  // In bf16 only convolutions multiply: each row is a pixel, each column of the product a filter of one pixel.
  if (precision == Precision::bf16) {
    a_ = a_.to(Dtype::bf16).reshape({1, gemm_size_, 1, gemm_size_});
    b_ = b_.reshape({gemm_size_, 1, 1, gemm_size_});
  }
}

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
  const auto sample = [&](const std::function<void()>& product) {
    gemm_seconds_.push_back(times(1, product)[0]);
  };
  if (precision_ == Precision::bf16) {
    const PinnedWeights pinned({b_});  // rounded once, not at every product
    sample([&] { conv2d(a_, b_, {}, {1, 0}); });
  } else {
    sample([&] { matmul(a_, b_, products_of(precision_, device_)); });
  }
}

double BenchReport::gemm_gflops() const {
  const auto n = static_cast<double>(gemm_size_);
  return 2e-9 * n * n * n / median(gemm_seconds_);
}

void BenchReport::print_table(std::FILE* to) const {
  fmt::print(to, "{:<10} {:<29} {:<20} {:>5} {:>12} {:>10} {:>9} {:>8} {:>7}\n", "suite", "name", "part",
             "batch", "seconds", "GFLOP", "GFLOP/s", "of gemm", "GB/s");
  const double gemm = gemm_gflops();
  const auto cell = [](double value, int precision) {
    return value > 0.0 ? fmt::format("{:.{}f}", value, precision) : "-";
  };
  for (const BenchRow& row : rows_) {
    const double rate = row.gflop / row.seconds;
    fmt::print(to, "{:<10} {:<29} {:<20} {:>5} {:>12.6f} {:>10} {:>9} {:>8} {:>7}\n", row.suite, row.name,
               row.part, row.batch, row.seconds, cell(row.gflop, 4), cell(rate, 1), cell(rate / gemm, 2),
               cell(row.gbytes / row.seconds, 1));
  }
  fmt::print(to, "gemm {0}x{0}x{0} in {1}: {2:.1f} GFLOP/s (median of {3} measurements throughout)\n",
             gemm_size_, name(precision_), gemm, gemm_seconds_.size());
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
            {"precision", name(precision_)},
            {"name", cpu_name()},
            {"threads", omp_get_max_threads()},
            {"repeat", repeat_}}},
          {"gemm_gflops", gemm},
          {"results", std::move(results)}};
}

}  // namespace damc
