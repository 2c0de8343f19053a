/// Images through a step, a batch at a time: what every evaluation does.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "damc/nets/networks.h"
#include "data/images.h"
#include "tensor/communicator.h"
#include "tensor/error.h"
#include "tensor/random.h"
#include "tensor/record.h"

namespace damc {

/// Images to put through the networks at a time: as many as keep the memory below about 1 GB at full width.
std::int64_t evaluation_batch(const Architecture& images);

/// Images [first, first + count) as floats in [-1, 1]. Throws Error when there are not so many.
Tensor to_tensor(const Images& images, std::int64_t first, std::int64_t count, Device device);

/// Tensors as processes send them.
template <std::size_t kResults>
std::array<Tensor, kResults> on_host(std::array<Tensor, kResults> results) {
  for (Tensor& result : results) result = result.to(Device{});
  return results;
}

/// Calls make(first, n) for rows [first, first + n) of `count`, a batch at a time, and use(first, results) with the
/// tensors [n, ...] that it returns after each batch, in order. The last batch may be smaller.
///
/// Processes share the batches and all use all results, on the host: every number is that of a single process. What a batch
/// draws from `random` (null: nothing) is as much for each, which the first batch tells; every process makes that and the
/// smaller one; `random` stands at the end where a single process leaves it.
template <class Make, class Use>
void share_batches(const Communicator& among, std::int64_t count, std::int64_t batch, Generator* random,
                   const Make& make, const Use& use) {
  const Part part = among.part();
  const std::int64_t whole = count / batch;
  if (part.count == 1 || count == 0) {
    for (std::int64_t first = 0; first < count; first += batch)
      use(first, make(first, std::min(batch, count - first)));
    return;
  }
  const std::uint64_t begin = random ? random->position() : 0;
  std::uint64_t numbers = 0;  // blocks of a batch
  const auto made = [&](std::int64_t b) {
    if (random) random->set_position(begin + static_cast<std::uint64_t>(b) * numbers);
    return on_host(make(b * batch, std::min(batch, count - b * batch)));
  };
  auto results = made(0);
  if (random) numbers = random->position() - begin;
  use(0, results);
  for (std::int64_t round = 1; round < whole; round += part.count) {
    if (round + part.index < whole) results = made(round + part.index);
    auto all = results;
    for (Tensor& rows : all) rows = among.gather(rows);
    for (std::int64_t p = 0; p < part.count && round + p < whole; ++p) {
      auto its = all;
      for (Tensor& rows : its) rows = rows.narrow(0, p * batch, batch);
      use((round + p) * batch, its);
    }
  }
  if (whole > 0 && whole * batch < count)
    use(whole * batch, made(whole));
  else if (random && whole > 0)
    random->set_position(begin + static_cast<std::uint64_t>(whole) * numbers);
}

/// Calls step({x}) for all images in order, and use(number of the first image of x, results) after each batch, which
/// processes share as share_batches has it. The last batch may be smaller; it is not recorded.
template <std::size_t kResults, class Use>
void for_batches(CapturedStep<1, kResults>& step, const Images& images, const Architecture& kind,
                 Device device, Generator* random, const Communicator& among, const Use& use) {
  const std::int64_t batch = evaluation_batch(kind);
  const auto make = [&](std::int64_t first, std::int64_t n) {
    const Tensor x = to_tensor(images, first, n, device);
    return n == batch ? step({x}) : step.unrecorded({x});
  };
  share_batches(among, images.n, batch, random, make, use);
}

}  // namespace damc
