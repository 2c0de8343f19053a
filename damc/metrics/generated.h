/// Images that a model makes, a batch at a time, for what measures them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "damc/model.h"
#include "data/images.h"
#include "tensor/communicator.h"

namespace damc {

/// Takes images [N, H, W, C] in [-1, 1] on the model's device, or what was made of them; they are valid until it returns.
using TakeImages = std::function<void(const Tensor& images)>;

/// How images are made: processes share them, and what is sent and taken are `features`(images), [N, ...], where they are
/// not undefined.
struct Making {
  const Communicator& among = alone();
  std::function<Tensor(const Tensor& images)> features = {};
};

/// `count` samples of a source (Model::sources) under the model's seed: those that `damc sample` draws.
void for_samples(const Model& model, const std::string& source, std::int64_t count, const TakeImages& take,
                 const Making& making = {});

/// G(z) of the first `count` images, z as it is evaluated (Model::infer): those whose error infer_all (metrics.h) finds.
void for_reconstructions(const Model& model, const Images& images, std::int64_t count, const TakeImages& take,
                         const Making& making = {});

}  // namespace damc
