#include "data/batches.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "data/counter_hash.h"
#include "data/mapped_bytes.h"
#include "tensor/error.h"

namespace damc {

namespace {

enum Stream : std::uint64_t { order_stream, flip_stream };

float scale(std::uint8_t pixel) { return static_cast<float>(pixel) / 127.5f - 1.f; }

/// One image, H,W,C, mirrored left to right.
void copy_mirrored(const Images& images, std::span<const std::uint8_t> image, float* out) {
  const std::int64_t channels = images.channels, row_size = images.width * channels;
  for (std::int64_t row = 0; row < images.height; ++row) {
    for (std::int64_t column = images.width; column-- > 0; out += channels) {
      std::transform(image.data() + row * row_size + column * channels,
                     image.data() + row * row_size + (column + 1) * channels, out, scale);
    }
  }
}

}  // namespace

void to_float(const Images& images, std::int64_t first, std::int64_t count, std::span<float> out) {
  ENSURE(0 <= first && 0 <= count && count <= images.n - first,
         "to_float: images {} to {} asked for, but there are {}", first, first + count, images.n);
  const auto size = static_cast<std::size_t>(count * images.image_size());
  ENSURE(out.size() == size, "to_float: {} images take {} floats, not {}", count, size, out.size());
  const auto begin = images.pixels.begin() + first * images.image_size();
  std::transform(begin, begin + count * images.image_size(), out.begin(), scale);
  require_whole(std::as_bytes(images.pixels.bytes()));
}

Batches::Batches(const Images& images, std::int64_t batch, std::uint64_t seed, bool flip, Part part)
    : images_(images),
      batch_(batch),
      part_(part),
      order_key_(counter_hash(seed, order_stream)),
      flip_key_(counter_hash(seed, flip_stream)),
      flip_(flip),
      order_(static_cast<std::size_t>(images.n)) {
  if (images.n == 0) user_error("the training set is empty");
  if (batch <= 0) user_error(fmt::format("a batch of {} images", batch), "batch must be at least 1");
  ENSURE(batch % part.count == 0, "a batch of {} in {} parts", batch, part.count);
}

/// Fisher-Yates from the identity, with draw number i of the epoch's own stream.
void Batches::shuffle_epoch(std::int64_t epoch) {
  std::iota(order_.begin(), order_.end(), std::int64_t{0});
  const std::uint64_t key = counter_hash(order_key_, static_cast<std::uint64_t>(epoch));
  // The remainder favours small numbers by less than n / 2^64.
  for (std::size_t i = order_.size(); i-- > 1;) std::swap(order_[i], order_[counter_hash(key, i) % (i + 1)]);
  epoch_ = epoch;
}

std::vector<std::int64_t> Batches::indices(std::int64_t k) {
  ENSURE(k >= 0, "there is no minibatch {}", k);
  std::vector<std::int64_t> numbers;
  for (std::int64_t shown = k * batch_; shown < (k + 1) * batch_; ++shown) {
    if (const std::int64_t epoch = shown / images_.n; epoch != epoch_) shuffle_epoch(epoch);
    numbers.push_back(order_[static_cast<std::size_t>(shown % images_.n)]);
  }
  return numbers;
}

bool Batches::mirrors(std::int64_t k, std::uint64_t place) const {
  return flip_ && counter_hash(counter_hash(flip_key_, static_cast<std::uint64_t>(k)), place) >> 63;
}

std::vector<std::int64_t> Batches::rows(std::int64_t k) {
  std::vector<std::int64_t> rows = indices(k);
  for (std::size_t place = 0; place < rows.size(); ++place) {
    if (mirrors(k, place)) rows[place] += images_.n;
  }
  return rows;
}

void Batches::fill(std::int64_t k, std::span<float> out) {
  const std::int64_t size = images_.image_size(), count = batch_ / part_.count;
  ENSURE(static_cast<std::int64_t>(out.size()) == count * size, "{} images take {} floats, not {}", count,
         count * size, out.size());
  const std::vector<std::int64_t> numbers = indices(k);
  float* target = out.data();
  for (std::int64_t place = part_.index * count; place < (part_.index + 1) * count; ++place) {
    const std::int64_t i = numbers[static_cast<std::size_t>(place)];
    if (mirrors(k, static_cast<std::uint64_t>(place))) {
      copy_mirrored(images_, images_.image(i), target);
    } else {
      to_float(images_, i, 1, {target, static_cast<std::size_t>(size)});
    }
    target += size;
  }
  require_whole(std::as_bytes(images_.pixels.bytes()));
}

}  // namespace damc
