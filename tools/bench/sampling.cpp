#include <map>

#include "damc/langevin.h"
#include "tensor/ops.h"
#include "tensor/record.h"
#include "tools/bench/suites.h"
#include "tools/bench/work.h"

namespace damc {

void visit_sampling(
    const Config& config, std::int64_t batch,
    const std::function<void(const PartWork& work, const std::function<void()>& sample)>& visit) {
  const Model model(config);
  Generator random(1, 0, model.device);
  const Architecture& a = model.images;
  const Tensor x = affine(random.uniform({batch, a.size, a.size, a.channels}), 2.0, -1.0);
  const ChainOptions long_run{static_cast<int>(config.sample_prior_steps), config.posterior_step_size};
  const std::map<std::string, std::function<Tensor()>> draws = {
      {"damc_prior", [&] { return model.Q.sample_prior(batch, random); }},
      {"lebm_prior", [&] { return model.sample_lebm(batch, random); }},
      {"damc_posterior", [&] { return model.infer(x, random); }},
      {"lebm_posterior",
       [&] {
         const Tensor start = random.normal({batch, config.nz});
         return posterior_langevin(model.G, model.E, start, x, config.sigma, long_run, &random);
       }},
  };
  for (const PartWork& work : sampling_work(model, batch)) {
    Captured draw(work.part, {}, model.device,
                  [&](const Tensors&) { return Tensors{model.G.forward(draws.at(work.part)()).value()}; });
    visit(work, [&] { draw({}); });
  }
}

void bench_sampling(BenchReport& report, const Config& config, std::int64_t batch) {
  const std::int64_t images = batch ? batch : 64;
  visit_sampling(config, images, [&](const PartWork& work, const std::function<void()>& sample) {
    if (report.device().type != DeviceType::cpu) {
      for (int i = 0; i < kCallsUntilRecorded; ++i) sample();
    }
    report.sample_gemm();
    report.measure(
        {.suite = "sampling", .name = config.preset, .part = work.part, .batch = images, .gflop = work.gflop},
        sample);
  });
}

}  // namespace damc
