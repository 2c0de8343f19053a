/// The energy of a W+ that the LEBM baseline of GAN inversion has learned.
#pragma once

#include <memory>

#include "damc/nets/networks.h"

namespace damc {

/// From "E.ebm.*" of a checkpoint, of as many layers and as wide as they are there; `latents` numbers to a W+. Throws
/// UserError naming a tensor that is missing or has another shape.
std::unique_ptr<EnergyNet> read_energy(const StateDict& checkpoint, std::int64_t latents, Device device = {},
                                       Dtype dtype = Dtype::f32);

}  // namespace damc
