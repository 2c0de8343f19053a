#include "tools/bench/floors.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tools/bench/suites.h"

namespace damc {
namespace {

// NVIDIA's data sheets of H200, H100 and A100 (SXM); of the RTX A6000 the white paper on its chip, GA102. Where
// a sheet gives the rate for sparse matrices, this is half of it.
constexpr std::array<Gpu, 4> kGpus = {{
    {"h200", "H200 SXM", 67.0, 494.5, 989.5, 4800.0},
    {"h100", "H100 SXM", 67.0, 494.5, 989.5, 3350.0},
    {"a100", "A100 SXM 80 GB", 19.5, 156.0, 312.0, 2039.0},
    {"a6000", "RTX A6000", 38.7, 77.4, 154.8, 768.0},
}};

/// The configuration on the counting device.
Config counted(Config config) {
  config.device = CountingDevice::device.str();
  return config;
}

/// The parts of an iteration on so many images, and their total.
std::vector<CountedPart> count_run(const Config& config, std::int64_t images, const Communicator& among) {
  CountingDevice device;
  std::vector<CountedPart> parts;
  CountedPart total{"total", {}};
  run_iteration(
      counted(config), images, [&] { device.take(); },
      [&](const char* part) {
        parts.push_back({part, device.take()});
        total.work += parts.back().work;
      },
      among);
  parts.push_back(total);
  return parts;
}

}  // namespace

double Gpu::rate(const std::string& precision) const {
  if (precision == "fp32") return fp32;
  if (precision == "tf32") return tf32;
  if (precision == "bf16") return bf16;
  throw Error(fmt::format("no rates of precision '{}'", precision));
}

const Gpu& find_gpu(const std::string& name) {
  std::string names;
  for (const Gpu& gpu : kGpus) {
    if (gpu.name == name) return gpu;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", gpu.name);
  }
  user_error(fmt::format("unknown GPU '{}'", name), fmt::format("known are {}", names));
}

const char* Floors::largest(double starts) const {
  if (starts >= std::max(compute, memory)) return "launches";
  return memory >= compute ? "memory" : "compute";
}

Floors floors(const KernelWork& work, const Gpu& gpu, const std::string& precision) {
  const auto launches = static_cast<double>(work.launches);
  return {.compute = work.flop / (1e12 * gpu.rate(precision)),
          .memory = work.bytes / (1e9 * gpu.bandwidth),
          .eager = launches * kLaunchSeconds,
          .graph = launches * kNodeSeconds};
}

std::vector<CountedPart> count_iteration(const Config& config, std::int64_t batch) {
  return count_run(config, batch, alone());
}

std::vector<CountedPart> count_shared_iteration(const Config& config, const Communicator& among) {
  return count_run(config, config.batch / among.part().count, among);
}

std::vector<CountedPart> count_sampling(const Config& config, std::int64_t batch) {
  CountingDevice device;
  std::vector<CountedPart> parts;
  visit_sampling(counted(config), batch, [&](const PartWork& work, const std::function<void()>& sample) {
    device.take();
    sample();
    parts.push_back({work.part, device.take()});
  });
  return parts;
}

void FloorsReport::print_table(std::FILE* to) const {
  fmt::print(to,
             "{} in {}: {:g} TFLOP/s, {:g} GB/s (data sheet, dense);\n"
             "a launch takes {:g} us, a graph's node {:g} us (assumed); times in ms\n",
             gpu_.title, precision_, gpu_.rate(precision_), gpu_.bandwidth, 1e6 * kLaunchSeconds,
             1e6 * kNodeSeconds);
  fmt::print(to, "{:<13} {:<18} {:>5} {:>10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}  {:<11} {}\n", "name",
             "part", "batch", "GFLOP", "GB", "launches", "compute", "memory", "eager", "graph", "measured",
             "limit eager", "limit graph");
  for (const Row& row : rows_) {
    const KernelWork& work = row.counted.work;
    const Floors f = floors(work, gpu_, precision_);
    fmt::print(
        to,
        "{:<13} {:<18} {:>5} {:>10.2f} {:>8.3f} {:>8} {:>8.3f} {:>8.3f} {:>8.3f} {:>8.3f} {:>8}  {:<11} {}\n",
        row.name, row.counted.part, row.batch, 1e-9 * work.flop, 1e-9 * work.bytes, work.launches,
        1e3 * f.compute, 1e3 * f.memory, 1e3 * f.eager, 1e3 * f.graph,
        row.seconds ? fmt::format("{:.3f}", 1e3 * *row.seconds) : "-", f.largest(f.eager),
        f.largest(f.graph));
  }
}

nlohmann::json FloorsReport::to_json() const {
  nlohmann::json results = nlohmann::json::array();
  for (const Row& row : rows_) {
    const KernelWork& work = row.counted.work;
    const Floors f = floors(work, gpu_, precision_);
    results.push_back({{"suite", row.suite},
                       {"name", row.name},
                       {"part", row.counted.part},
                       {"batch", row.batch},
                       {"gflop", 1e-9 * work.flop},
                       {"bytes", work.bytes},
                       {"launches", work.launches},
                       {"floors",
                        {{"compute", f.compute},
                         {"memory", f.memory},
                         {"launches_eager", f.eager},
                         {"launches_graph", f.graph}}}});
    if (row.seconds) results.back()["seconds"] = *row.seconds;
  }
  return {{"machine",
           {{"program", "damc"},
            {"gpu", gpu_.title},
            {"source", "data sheet, dense rates"},
            {"precision", precision_},
            {"tflops", gpu_.rate(precision_)},
            {"gbytes_per_second", gpu_.bandwidth},
            {"launch_seconds", kLaunchSeconds},
            {"node_seconds", kNodeSeconds}}},
          {"results", std::move(results)}};
}

}  // namespace damc
