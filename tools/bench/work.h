/// How much work a benchmark does, counted from shapes, the same for every program whatever it saves or
/// wastes: two floating point operations per multiply-add of linear layers and convolutions, nothing else.
///
/// A pass over a convolution costs ConvGeometry::macs() multiply-adds, taps on the padding included; a pass
/// over a linear layer costs its weight's size per row. The input gradient and the weight gradient each cost
/// as much as the forward pass. Chains count forward and input gradients only; updates leave out gradients of
/// inputs that need none.
#pragma once

#include <string>
#include <vector>

#include "damc/model.h"

namespace damc {

/// One convolution of a network, by its parameters' name ("G.gen.2", "Q.encoder.net.0").
struct ConvLayer {
  std::string name;
  bool transposed;
  ConvGeometry geometry;
};

/// The generator's transposed convolutions and the encoder's convolutions, on `batch` images.
std::vector<ConvLayer> generator_layers(const Config& config, std::int64_t batch);
std::vector<ConvLayer> encoder_layers(const Config& config, std::int64_t batch);

/// GFLOP of one named part of a benchmark.
struct PartWork {
  std::string part;
  double gflop;
};

/// The parts of a training iteration on `batch` images in the order they run, then their total.
std::vector<PartWork> iteration_work(const Model& model, std::int64_t batch);

/// damc_latents: drawing `batch` latent vectors from the sampler under given embeddings; damc_prior, lebm_prior,
/// damc_posterior, lebm_posterior: drawing latent vectors and decoding them.
std::vector<PartWork> sampling_work(const Model& model, std::int64_t batch);

}  // namespace damc
