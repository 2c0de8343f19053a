#include "optim/watch.h"

#include "tensor/backend.h"
#include "tensor/error.h"

namespace damc {

FiniteWatch::FiniteWatch(Device device) : state_(Tensor::empty({3}, Dtype::i64, device)) { reset(); }

std::int64_t FiniteWatch::add(std::string what) {
  what_.push_back(std::move(what));
  return static_cast<std::int64_t>(what_.size()) - 1;
}

void FiniteWatch::see(const Tensor& scalar, std::int64_t code) const {
  ENSURE(scalar.numel() == 1 && scalar.device() == state_.device() && code >= 0,
         "watch: shape {} on {}, code {}", scalar.shape().str(), scalar.device().str(), code);
  backend(state_.device()).watch(scalar, code, state_);
}

std::optional<FiniteWatch::Finding> FiniteWatch::read() const {
  const std::vector<std::int64_t> state = state_.to_vector<std::int64_t>();
  if (state[1] < 0) return std::nullopt;
  return Finding{state[1], state[2] / 2, state[2] % 2 == 1};
}

void FiniteWatch::reset() {
  state_.fill(-1.0);
  begin(0);
}

}  // namespace damc
