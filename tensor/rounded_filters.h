/// Filters rounded to the images' type, for devices whose convolutions take both in one.
#pragma once

#include <memory>

#include "tensor/arena.h"
#include "tensor/weight_cache.h"

namespace damc {

class RoundedFilters {
 public:
  /// `arenas` are the device's.
  explicit RoundedFilters(const Arenas& arenas) : arenas_(arenas) {}

  void pin(const Tensor& weight) { now().pin(weight); }
  void unpin(const Tensor& weight) { now().unpin(weight); }

  /// The filter in the images' type; a pinned one is rounded once.
  Tensor operator()(const Tensor& filter, Dtype images) {
    if (filter.dtype() == images || !now().is_pinned(filter)) return filter.to(images);
    return *now().get(filter, {WeightCache::Form::bf16},
                      [&] { return std::make_shared<const Tensor>(filter.to(images)); });
  }

 private:
  /// Within a captured step only what is pinned there counts: the step has to round what it reads. A replay would not
  /// repeat a rounding from before the step, and the rounded filter would be gone once it is unpinned.
  WeightCache& now() { return arenas_.in_use() ? within_step_ : outside_; }

  const Arenas& arenas_;
  WeightCache outside_, within_step_;
};

}  // namespace damc
