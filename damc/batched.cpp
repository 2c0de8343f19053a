#include "damc/batched.h"

#include "data/batches.h"

namespace damc {

std::int64_t evaluation_batch(const Architecture& images) {
  return std::clamp<std::int64_t>((std::int64_t{1} << 20) / (images.size * images.size), 1, 128);
}

Tensor to_tensor(const Images& images, std::int64_t first, std::int64_t count, Device device) {
  std::vector<float> values(static_cast<std::size_t>(count * images.image_size()));
  to_float(images, first, count, values);
  return Tensor::from(values, {count, images.height, images.width, images.channels}, device);
}

}  // namespace damc
