#include <map>

#include "damc/chains/langevin.h"
#include "damc/model.h"
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
  const Tensor xemb = random.normal({batch, config.nemb});
  const AncestralPlan plan(model.Q->sampling(), xemb.dtype(), model.device);
  const ChainOptions long_run{config.sample_prior_steps, config.posterior_step_size};
  const auto normal = [&] { return random.normal({batch, config.nz}); };
  const auto decode = [&](const Tensor& z) { return model.decode(z); };
  const std::map<std::string, std::function<Tensor()>> draws = {
      {"damc_latents",
       [&] { return ancestral_sample(model.Q->denoiser(), normal(), xemb, {}, plan, &random); }},
      {"damc_prior", [&] { return decode(model.draw("damc", batch, random)); }},
      {"lebm_prior", [&] { return decode(model.draw("lebm", batch, random)); }},
      {"damc_posterior", [&] { return decode(model.infer(x, random)); }},
      {"lebm_posterior",
       [&] {
         return decode(langevin(Posterior(model.likelihood, *model.prior, x), normal(), long_run, &random));
       }},
  };
  for (const PartWork& work : sampling_work(model, batch)) {
    Captured draw(work.part, {}, model.device,
                  [&](const Tensors&) { return Tensors{draws.at(work.part)()}; });
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
