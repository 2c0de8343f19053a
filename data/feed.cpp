#include "data/feed.h"

#include "tensor/backend.h"

namespace damc {

Feed::Feed(Batches& batches, const Shape& shape, Device device)
    : batches_(batches),
      targets_{Tensor::empty(shape, Dtype::f32, device), Tensor::empty(shape, Dtype::f32, device)},
      staging_(make_staging(device, static_cast<std::size_t>(shape.numel()) * sizeof(float))) {}

void Feed::load(std::int64_t k) {
  const Tensor& target = targets_[k % 2];
  batches_.fill(k, {static_cast<float*>(staging_->host()), static_cast<std::size_t>(target.numel())});
  staging_->send(target.raw());
  loaded_ = k;
}

Tensor Feed::take(std::int64_t k) {
  if (loaded_ != k) load(k);
  staging_->arrive();
  return targets_[k % 2];
}

}  // namespace damc
