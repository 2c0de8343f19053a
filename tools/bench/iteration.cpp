#include <map>

#include "damc/trainer.h"
#include "tensor/ops.h"
#include "tools/bench/suites.h"
#include "tools/bench/work.h"

namespace damc {

/// Runs Trainer::iterate() one part at a time.
class IterationBenchmark {
 public:
  IterationBenchmark(const Config& config, std::int64_t batch) : model_(config), trainer_(model_) {
    Generator random(1, 0, model_.device);
    const Architecture& images = model_.images;
    x_ = affine(random.uniform({batch, images.size, images.size, images.channels}), 2.0, -1.0);
  }

  const Model& model() const { return model_; }

  /// Iteration k; `lap(part)` is called when a part is done.
  template <class Lap>
  void run(std::int64_t k, const Lap& lap) {
    const Tensor z0 = trainer_.draw_samples_({x_})[0];
    lap("ancestral_sampling");
    const Tensor z_plus = trainer_.posterior_chain_({z0, x_})[0];
    lap("posterior_chain");
    const Tensor z_minus = trainer_.prior_chain_({z0})[0];
    lap("prior_chain");
    trainer_.update_sampler_({x_, z_plus});
    lap("sampler_updates");
    trainer_.update_generator_({x_, z_plus});
    lap("generator_update");
    trainer_.update_energy_({z_plus, z_minus});
    lap("energy_update");
    if ((k + 1) % model_.config.ema_every == 0) trainer_.update_average_({});
  }

 private:
  Model model_;
  Trainer trainer_;
  Tensor x_;
};

void run_iteration(const Config& config, std::int64_t batch, const std::function<void()>& ready,
                   const std::function<void(const char* part)>& done) {
  IterationBenchmark benchmark(config, batch);
  ready();
  benchmark.run(0, done);
}

void bench_iteration(BenchReport& report, const Config& config, std::int64_t batch) {
  const std::int64_t images = batch ? batch : 32;
  IterationBenchmark benchmark(config, images);
  const int first_rounds = benchmark.model().device.type == DeviceType::cpu ? 1 : kCallsUntilRecorded;
  for (int k = 0; k < first_rounds; ++k) benchmark.run(0, [](const char*) {});
  std::map<std::string, std::vector<double>> seconds;
  for (int k = 1; k <= report.repeat(); ++k) {
    report.sample_gemm();
    const double start = report.clock();
    double last = start;
    benchmark.run(k, [&](const char* part) {
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
