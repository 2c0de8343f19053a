/// What an iteration learns from.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace damc {

struct Minibatch {
  Minibatch(Tensor images, std::vector<std::int64_t> of = {}) : x(std::move(images)), rows(std::move(of)) {}

  Tensor x;                        ///< images [B, H, W, C] in [-1, 1]
  std::vector<std::int64_t> rows;  ///< of the persistent chains, one for each image (Batches::rows)
};

}  // namespace damc
