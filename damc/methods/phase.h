/// A stretch of the iterations, in which the same parts learn the same way. Most methods have one.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "optim/learner.h"
#include "optim/stats.h"
#include "tensor/ops.h"
#include "tensor/record.h"

namespace damc {

/// What an iteration learns from.
struct Minibatch {
  Minibatch(Tensor images, std::vector<std::int64_t> of = {}) : x(std::move(images)), rows(std::move(of)) {}

  Tensor x;                        ///< images [B, H, W, C] in [-1, 1] of this process
  std::vector<std::int64_t> rows;  ///< of the persistent chains, one for each image of all (Batches::rows)
};

class Phase {
 public:
  virtual ~Phase() = default;
  /// Iteration k (from 0); `after` is told the name of every part when it is done.
  virtual Stats iterate(std::int64_t k, const Minibatch& batch, const Lap& after = {}) = 0;
  /// All that learn, in the order of their updates.
  virtual std::vector<Learner*> learners() const = 0;
};

/// Mean square length of the rows of a [N, nz].
inline Tensor mean_square(const Tensor& rows) {
  return mul(sum_squares(rows), 1.0 / static_cast<double>(rows.size(0)));
}

}  // namespace damc
