/// Small networks of GAN inversion whose weights nobody has to store (golden/inversion.py).
#pragma once

#include <cmath>
#include <map>
#include <string>

#include "damc/nets/denoiser.h"
#include "damc/nets/in_domain_encoder.h"
#include "damc/nets/networks.h"
#include "damc/nets/stylegan.h"
#include "damc/nets/vgg.h"
#include "tests/golden.h"

namespace damc {

/// The weights of a network called "generator", "encoder" or "vgg", by the golden script's bounds.
inline StateDict inversion_weights(const std::string& network, const std::map<std::string, Shape>& shapes) {
  struct Range {
    double bound, offset = 0.0;
  };
  const auto range = [&](const std::string& key, const Shape& shape) -> Range {
    const std::string leaf = key.substr(key.rfind('.') + 1);
    const auto has = [&](const char* part) { return key.find(part) != std::string::npos; };
    if (leaf == "running_var") return {0.5, 1.0};
    if (leaf == "running_mean") return {0.2};
    if (has(".bn")) return {0.3, leaf == "weight" ? 1.0 : 0.0};
    if (key.starts_with("mapping.")) return {leaf == "weight" ? 170.0 : 30.0};
    if (leaf == "bias" || has("apply_noise.weight")) return {0.2};
    if (network == "generator") return {1.7};
    if (has("fc.weight")) return {20.0};
    return {std::sqrt(6.0 * static_cast<double>(shape[0]) / static_cast<double>(shape.numel()))};
  };
  StateDict state;
  for (const auto& [key, shape] : shapes) {
    const auto [bound, offset] = range(key, shape);
    state[key] = golden_formula(network + "." + key, shape, bound, offset);
  }
  return state;
}

inline StateDict small_generator() {
  return inversion_weights("generator",
                           StyleGan::shapes({.latent = 8,
                                             .mapping = 3,
                                             .channels = {12, 12, 8, 8, 6, 6},
                                             .fused = {false, false, false, false, true, false}}));
}
inline StateDict small_encoder() {
  return inversion_weights("encoder",
                           InDomainEncoder::shapes({.channels = {4, 6, 6}, .last = 4, .latents = 48}));
}
inline StateDict small_vgg() { return inversion_weights("vgg", Vgg::shapes({4, 6, 8, 8})); }

/// A sampler and an energy as a checkpoint has them, drawn anew.
inline StateDict small_sampler() {
  Generator random(7);
  Init init(random);
  StateDict checkpoint = Denoiser(48, 48, DenoiserWidths{8, 12}, init).state_dict("Q.p.");
  checkpoint.merge(EnergyNet(48, 8, init, 3).state_dict("E."));
  for (const auto& [name, tensor] : small_encoder()) checkpoint["Q.encoder.net." + name] = tensor;
  return checkpoint;
}

}  // namespace damc
