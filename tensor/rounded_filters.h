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

  void hold(const Tensor& weight) { now().hold(weight); }
  void release(const Tensor& weight) { now().release(weight); }

  /// The filter in the images' type; a held one is rounded once.
  Tensor operator()(const Tensor& filter, Dtype images) {
    if (filter.dtype() == images || !now().holds(filter)) return filter.to(images);
    return *now().get(filter, {}, [&] { return std::make_shared<const Tensor>(filter.to(images)); });
  }

 private:
  /// A step knows only of holds within it, so that it rounds what it reads itself. A filter that was rounded outside
  /// would not be rounded again when the step is replayed, and gone once its hold has ended.
  WeightCache& now() { return arenas_.in_use() ? within_step_ : outside_; }

  const Arenas& arenas_;
  WeightCache outside_, within_step_;
};

}  // namespace damc
