#include "optim/ema.h"

#include "tensor/backend.h"
#include "tensor/error.h"

namespace damc {

void ema_update(Module& target, const Module& source, double rate, const FiniteWatch* watch) {
  const std::vector<Variable> to = target.parameters(), from = source.parameters();
  ENSURE(to.size() == from.size(), "ema: modules of {} and {} parameters", to.size(), from.size());
  if (to.empty()) return;
  std::vector<LerpTensors> tensors;
  for (std::size_t i = 0; i < to.size(); ++i) {
    ENSURE(to[i].shape() == from[i].shape() && to[i].dtype() == from[i].dtype() &&
               to[i].device() == from[i].device(),
           "ema: {} {} on {} and {} {} on {}", to[i].shape().str(), name(to[i].dtype()), to[i].device().str(),
           from[i].shape().str(), name(from[i].dtype()), from[i].device().str());
    ENSURE(to[i].dtype() == to[0].dtype() && to[i].device() == to[0].device(),
           "ema: parameter number {} is {} on {}, the first {} on {}", i, name(to[i].dtype()),
           to[i].device().str(), name(to[0].dtype()), to[0].device().str());
    ENSURE(to[i].value().is_contiguous(), "ema: parameter number {} {} is a strided view", i,
           to[i].shape().str());
    tensors.push_back({to[i].value(), from[i].value().contiguous()});
  }
  backend(to[0].device()).lerp(tensors, rate, watch ? watch->state() : Tensor());
}

}  // namespace damc
