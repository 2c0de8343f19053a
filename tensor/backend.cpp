#include "tensor/backend.h"

namespace damc {

PinnedWeights::PinnedWeights(std::vector<Tensor> weights)
    : weights_(std::move(weights)), backend_(weights_.empty() ? nullptr : &backend(weights_[0].device())) {
  for (const Tensor& weight : weights_) backend_->pin(weight);
}

PinnedWeights::~PinnedWeights() {
  for (const Tensor& weight : weights_) backend_->unpin(weight);
}

}  // namespace damc
