#include "damc/training.h"

#include "tensor/error.h"

namespace damc {

LearnerOptions learning(const Config& c, double rate, double weight_decay) {
  return {.rate = {rate, c.lr_decay, c.lr_decay_every, c.lr_min},
          .adam = {c.beta1, c.beta2, 1e-8, weight_decay},
          .grad_clip = c.grad_clip};
}

void check_finite(const FiniteWatch& watch, const char* advice) {
  if (const auto found = watch.read())
    throw Error(fmt::format("iteration {}: {} is not finite; {}", found->iteration + 1,
                            watch.what(found->code), advice));
}

Tensor position_of(const Generator& random) {
  return Tensor::from(std::vector<std::int64_t>{static_cast<std::int64_t>(random.position())}, {1});
}

void set_position(Generator& random, const StateDict& state, const std::string& name) {
  const auto position = state.find(name);
  if (position == state.end() || position->second.dtype() != Dtype::i64 || position->second.numel() != 1)
    user_error("no noise position in the state", "is this the state of a run?");
  random.set_position(static_cast<std::uint64_t>(position->second.to_vector<std::int64_t>()[0]));
}

}  // namespace damc
