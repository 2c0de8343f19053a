#include "damc/inversion/energy.h"

#include "damc/nets/pretrained.h"
#include "tensor/error.h"

namespace damc {

std::unique_ptr<EnergyNet> read_energy(const StateDict& checkpoint, std::int64_t latents, Device device,
                                       Dtype dtype) {
  const Pretrained expected{"the energy", "a checkpoint of DAMC for GAN inversion has them", {}, {}};
  const std::int64_t ndf = telling(expected, checkpoint, "E.ebm.0.weight", 2).size(0);
  std::int64_t hidden_layers = 0;
  while (checkpoint.contains(fmt::format("E.ebm.{}.weight", 2 * (hidden_layers + 1)))) ++hidden_layers;
  if (hidden_layers == 0) telling(expected, checkpoint, "E.ebm.2.weight", 2);
  Generator random(1, 0, device);
  Init init(random, dtype);
  auto energy = std::make_unique<EnergyNet>(latents, ndf, init, hidden_layers);
  energy->load_state_dict(checkpoint, "E.");
  return energy;
}

}  // namespace damc
