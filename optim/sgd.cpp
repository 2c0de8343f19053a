#include "optim/sgd.h"

#include "optim/check_gradient.h"
#include "tensor/ops.h"

namespace damc {

Sgd::Sgd(const Module& module, const SgdOptions& options) : options_(options) {
  module.visit("", [&](const std::string& name, const Variable& p) {
    if (!p.requires_grad()) return;
    check_wide("sgd", p.value());
    parameters_.emplace_back(name, p);
    if (options.momentum != 0.0) velocities_.push_back(Tensor::zeros(p.shape(), p.dtype(), p.device()));
  });
}

void Sgd::step(const std::vector<Tensor>& grads, double lr) {
  ENSURE(grads.size() == parameters_.size(), "sgd: {} gradients for {} parameters", grads.size(),
         parameters_.size());
  for (std::size_t i = 0; i < grads.size(); ++i)
    check_gradient("sgd", parameters_[i].first, parameters_[i].second, grads[i]);
  for (std::size_t i = 0; i < grads.size(); ++i) {
    const Tensor& p = parameters_[i].second.value();
    Tensor v = options_.weight_decay == 0.0 ? grads[i] : grads[i] + options_.weight_decay * p;
    if (options_.momentum != 0.0) {
      velocities_[i].copy_from(options_.momentum * velocities_[i] + v);
      v = velocities_[i];
    }
    p.copy_from(p - lr * v);
  }
}

}  // namespace damc
