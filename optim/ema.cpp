#include "optim/ema.h"

#include "tensor/backend.h"
#include "tensor/error.h"

namespace damc {

void ema_update(const Module& target, const Module& source, double rate, const FiniteWatch* watch) {
  const std::vector<Variable> to = target.parameters(), from = source.parameters();
  ENSURE(to.size() == from.size(), "ema: modules of {} and {} parameters", to.size(), from.size());
  for (std::size_t i = 0; i < to.size(); ++i) {
    ENSURE(to[i].shape() == from[i].shape() && to[i].device() == from[i].device(),
           "ema: shapes {} on {} and {} on {}", to[i].shape().str(), to[i].device().str(),
           from[i].shape().str(), from[i].device().str());
    backend(to[i].device()).lerp(to[i].value(), from[i].value(), rate, watch ? &watch->state() : nullptr);
  }
}

}  // namespace damc
