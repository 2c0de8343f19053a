#include "optim/sgd.h"

#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {

Sgd::Sgd(const Module& module, const SgdOptions& options)
    : options_(options), parameters_(module.parameters()) {
  if (options.momentum == 0.0) return;
  for (const Variable& p : parameters_)
    velocities_.push_back(Tensor::zeros(p.shape(), p.dtype(), p.device()));
}

void Sgd::step(const std::vector<Tensor>& grads, double lr) {
  ENSURE(grads.size() == parameters_.size(), "sgd: {} gradients for {} parameters", grads.size(),
         parameters_.size());
  for (std::size_t i = 0; i < grads.size(); ++i) {
    const Tensor& p = parameters_[i].value();
    ENSURE(grads[i].shape() == p.shape(), "sgd: gradient {} for parameter number {}, of shape {}",
           grads[i].shape().str(), i, p.shape().str());
    Tensor v = options_.weight_decay == 0.0 ? grads[i] : grads[i] + options_.weight_decay * p;
    if (options_.momentum != 0.0) {
      velocities_[i].copy_from(options_.momentum * velocities_[i] + v);
      v = velocities_[i];
    }
    p.copy_from(p - lr * v);
  }
}

}  // namespace damc
