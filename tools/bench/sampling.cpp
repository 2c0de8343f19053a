#include <map>

#include "damc/langevin.h"
#include "tensor/ops.h"
#include "tensor/record.h"
#include "tools/bench/suites.h"
#include "tools/bench/work.h"

namespace damc {

void bench_sampling(BenchReport& report, const Config& config, std::int64_t batch) {
  const std::int64_t images = batch ? batch : 64;
  const Model model(config);
  Generator random(1, 0, model.device);
  const Architecture& a = model.images;
  const Tensor x = affine(random.uniform({images, a.size, a.size, a.channels}), 2.0, -1.0);
  const ChainOptions long_run{static_cast<int>(config.sample_prior_steps), config.posterior_step_size};
  const std::map<std::string, std::function<Tensor()>> draws = {
      {"damc_prior", [&] { return model.Q.sample_prior(images, random); }},
      {"lebm_prior", [&] { return model.sample_lebm(images, random); }},
      {"damc_posterior", [&] { return model.infer(x, random); }},
      {"lebm_posterior",
       [&] {
         const Tensor start = random.normal({images, config.nz});
         return posterior_langevin(model.G, model.E, start, x, config.sigma, long_run, &random);
       }},
  };
  for (const PartWork& work : sampling_work(model, images)) {
    Captured draw(work.part, {}, model.device,
                  [&](const Tensors&) { return Tensors{model.G.forward(draws.at(work.part)()).value()}; });
    if (model.device.type != DeviceType::cpu) {
      for (int i = 0; i < kCallsUntilRecorded; ++i) draw({});
    }
    report.sample_gemm();
    report.measure(
        {.suite = "sampling", .name = config.preset, .part = work.part, .batch = images, .gflop = work.gflop},
        [&] { draw({}); });
  }
}

}  // namespace damc
