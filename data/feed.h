/// Minibatches on a device. The next one is put together and copied while the device computes.
#pragma once

#include <memory>

#include "data/batches.h"
#include "tensor/staging.h"
#include "tensor/tensor.h"

namespace damc {

class Feed {
 public:
  /// `batches` must outlive this object; `shape` is that of a minibatch, N,H,W,C.
  Feed(Batches& batches, const Shape& shape, Device device);

  /// Prepares minibatch k, the next to be taken: to be called when the work on the one before is queued, so that
  /// the host's share is done beside it.
  void load(std::int64_t k);
  /// Minibatch k as floats in [-1, 1], loaded now unless it was. The memory is that of the last but one.
  Tensor take(std::int64_t k);

 private:
  Batches& batches_;
  Tensor targets_[2];  // in turn, see staging.h; declared before staging_, so they outlive it
  std::unique_ptr<Staging> staging_;
  std::int64_t loaded_ = -1;
};

}  // namespace damc
