/// Images through a step, a batch at a time: what every evaluation does.
#pragma once

#include <algorithm>
#include <cstdint>

#include "damc/nets/networks.h"
#include "data/images.h"
#include "tensor/record.h"

namespace damc {

/// Images to put through the networks at a time: as many as keep the memory below about 1 GB at full width.
std::int64_t evaluation_batch(const Architecture& images);

/// Images [first, first + count) as floats in [-1, 1]. Throws Error when there are not so many.
Tensor to_tensor(const Images& images, std::int64_t first, std::int64_t count, Device device);

/// Calls step({x}) for all images in order, and use(number of the first image of x, x, results) after each batch. The last
/// batch may be smaller; it is not recorded.
template <std::size_t kResults, class Use>
void for_batches(CapturedStep<1, kResults>& step, const Images& images, const Architecture& kind,
                 Device device, const Use& use) {
  const std::int64_t batch = evaluation_batch(kind);
  for (std::int64_t first = 0; first < images.n; first += batch) {
    const Tensor x = to_tensor(images, first, std::min(batch, images.n - first), device);
    use(first, x, x.size(0) == batch ? step({x}) : step.unrecorded({x}));
  }
}

}  // namespace damc
