#include "damc/inversion/training.h"
#include "damc/model.h"
#include "damc/presets.h"
#include "tensor/ops.h"
#include "tools/bench/floors.h"

namespace damc {
namespace {

/// Weights that nobody reads.
StateDict blank(const std::map<std::string, Shape>& shapes) {
  StateDict weights;
  for (const auto& [name, shape] : shapes) weights[name] = Tensor::zeros(shape);
  return weights;
}

/// The networks that a preset inverts beside, on the counting device. Only the small one has no VGG.
InversionNetworks networks_of(const Config& c) {
  const Config mini = preset_config("invert-mini-networks");
  const bool is_mini = c.nz == mini.nz;
  constexpr std::int64_t mini_size = 32;
  const StyleGanSizes generator =
      is_mini ? StyleGanSizes::small(mini_size, mini.nz, mini.ngf) : StyleGanSizes::release();
  const EncoderSizes encoder =
      is_mini ? EncoderSizes::small(mini_size, mini.nz, mini.nif) : EncoderSizes::release();
  const Device device = CountingDevice::device;
  InversionNetworks nets;
  nets.generator = std::make_unique<StyleGan>(blank(StyleGan::shapes(generator)), device);
  nets.encoder = std::make_unique<InDomainEncoder>(blank(InDomainEncoder::shapes(encoder)), device);
  nets.generator->precision = nets.encoder->precision = products_of(c.precision, device);
  if (!is_mini) nets.vgg = std::make_unique<Vgg>(blank(Vgg::shapes({64, 128, 256, 512})), device);
  if (nets.vgg) nets.vgg->precision = products_of(c.precision, device);
  return nets;
}

/// A training and images on the counting device.
struct Counted {
  Counted(Config config, std::int64_t batch)
      : training([&] {
          config.device = CountingDevice::device.str();
          return std::make_unique<InversionTraining>(config, networks_of(config), CountingDevice::device);
        }()) {
    const std::int64_t size = training->image_size();
    x = Tensor::zeros({batch, size, size, 3}, Dtype::f32, CountingDevice::device);
  }

  std::unique_ptr<InversionTraining> training;
  Tensor x;
};

/// What the second does more than the first.
KernelWork difference(const KernelWork& second, const KernelWork& first) {
  return {second.flop - first.flop, second.bytes - first.bytes, second.launches - first.launches};
}

}  // namespace

std::vector<CountedPart> count_inversion_iteration(const Config& config, std::int64_t batch) {
  CountingDevice device;
  Counted counted(config, batch);
  const auto iteration = [&](std::int64_t k) {
    device.take();
    counted.training->iterate(k, counted.x, {});
    return device.take();
  };
  return {{"warm_up", iteration(0)}, {"algorithm_1", iteration(config.phase_iterations)}};
}

std::vector<CountedPart> count_inversion(const Config& config, std::int64_t batch) {
  CountingDevice device;
  Counted counted(config, batch);
  Generator random(1, 0, CountingDevice::device);
  const auto work_of = [&](const auto& run) {
    device.take();
    run();
    return device.take();
  };
  const auto inversion = [&](std::int64_t steps) {
    return work_of([&] { counted.training->invert(counted.x, steps, random); });
  };
  return {{"damc_start", work_of([&] { counted.training->start(counted.x, random); })},
          {"adam_step", difference(inversion(1), inversion(0))},
          {"damc_inversion", inversion(config.test_posterior_steps)}};
}

}  // namespace damc
