#include <algorithm>
#include <map>

#include "damc/method.h"
#include "tensor/ops.h"
#include "tools/bench/suites.h"
#include "tools/bench/work.h"

namespace damc {

/// A method on images of noise.
class IterationBenchmark {
 public:
  IterationBenchmark(const Config& config, std::int64_t batch, const Communicator& among = alone())
      : model_(config), method_(model_, 0, 0, among) {
    Generator random(1, 0, model_.device);
    const Architecture& images = model_.images;
    x_ = affine(random.uniform({batch, images.size, images.size, images.channels}), 2.0, -1.0);
  }

  const Model& model() const { return model_; }

  /// Iteration k; `lap(part)` is called when a part is done, named as iteration_work() has it.
  void run(std::int64_t k, const Lap& lap) {
    method_.iterate(k, x_, [&](std::string part) {
      std::replace(part.begin(), part.end(), ' ', '_');
      lap(part);
    });
  }

 private:
  Model model_;
  Method method_;
  Tensor x_;
};

void run_iteration(const Config& config, std::int64_t batch, const std::function<void()>& ready,
                   const std::function<void(const char* part)>& done, const Communicator& among) {
  IterationBenchmark benchmark(config, batch, among);
  ready();
  benchmark.run(0, [&](const std::string& part) { done(part.c_str()); });
}

void bench_iteration(BenchReport& report, const Config& config, std::int64_t batch) {
  const std::int64_t images = batch ? batch : 32;
  IterationBenchmark benchmark(config, images);
  const int first_rounds = benchmark.model().device.type == DeviceType::cpu ? 1 : kCallsUntilRecorded;
  for (int k = 0; k < first_rounds; ++k) benchmark.run(0, [](const std::string&) {});
  std::map<std::string, std::vector<double>> seconds;
  for (int k = 1; k <= report.repeat(); ++k) {
    report.sample_gemm();
    const double start = report.clock();
    double last = start;
    benchmark.run(k, [&](const std::string& part) {
      const double now = report.clock();
      seconds[part].push_back(now - last);
      last = now;
    });
    seconds["total"].push_back(report.clock() - start);
  }
  for (const PartWork& work : iteration_work(benchmark.model(), images)) {
    report.add({.suite = "iteration",
                .name = config.preset,
                .part = work.part,
                .batch = images,
                .gflop = work.gflop},
               seconds[work.part]);
  }
}

}  // namespace damc
