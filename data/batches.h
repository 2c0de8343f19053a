/// Minibatches as a pure function of (seed, iteration): a resumed run sees what an uninterrupted one would
/// have seen, with nothing saved.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/images.h"
#include "tensor/part.h"

namespace damc {

/// Scales images [first, first + count) to N,H,W,C floats in [-1, 1]: pixel / 127.5 - 1.
/// Throws Error when there are not so many images, they cannot be read, or `out` has not exactly count*H*W*C floats.
void to_float(const Images& images, std::int64_t first, std::int64_t count, std::span<float> out);

/// An endless row of shuffled minibatches. Epoch e shows every image once, in an order drawn from (seed, e);
/// a batch that reaches an epoch's end goes on in the next, so that all batches are full, even one of more
/// images than the set has. With `flip`, an image is mirrored left to right with probability 0.5, drawn from
/// (seed, iteration, place in the batch). Not for use by several threads at once.
class Batches {
 public:
  /// `images` must outlive this object; of each minibatch fill() gives `part`, an equal one. Throws UserError when there
  /// are none or `batch` is not positive, Error when the parts would not be equal.
  Batches(const Images& images, std::int64_t batch, std::uint64_t seed, bool flip, Part part = {});

  /// The numbers of the images in minibatch `k` (0-based); `batch` of them.
  std::vector<std::int64_t> indices(std::int64_t k);

  /// The same with mirrored images counted as others: the number of an image, plus that of all images where it is
  /// mirrored.
  std::vector<std::int64_t> rows(std::int64_t k);

  /// The part of minibatch `k` (0-based) as N,H,W,C floats in [-1, 1].
  /// Throws Error when k is negative, the images cannot be read, or `out` has not exactly as many floats.
  void fill(std::int64_t k, std::span<float> out);

 private:
  void shuffle_epoch(std::int64_t epoch);
  bool mirrors(std::int64_t k, std::uint64_t place) const;

  const Images& images_;
  std::int64_t batch_;
  Part part_;
  std::uint64_t order_key_, flip_key_;
  bool flip_;
  std::int64_t epoch_ = -1;          // the epoch that order_ is for
  std::vector<std::int64_t> order_;  // kept only because drawing it takes longer than a batch
};

}  // namespace damc
