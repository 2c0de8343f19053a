#include "damc/training.h"

#include <algorithm>

#include "damc/batched.h"
#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {

double squared_error(const Images& images, Device device,
                     const std::function<Tensor(const Tensor& x)>& made) {
  constexpr std::int64_t at_once = 64;
  double squares = 0.0;
  for (std::int64_t first = 0; first < images.n; first += at_once) {
    const Tensor x = to_tensor(images, first, std::min(at_once, images.n - first), device);
    squares += sum_squares(sub(made(x), x)).item();
  }
  return squares / static_cast<double>(images.n * images.image_size());
}

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

void find_position(Loading& loading, Generator& random, const std::string& name) {
  const auto position = loading.state().find(name);
  if (position == loading.state().end() || !position->second.defined() ||
      position->second.dtype() != Dtype::i64 || position->second.numel() != 1)
    user_error("no noise position in the state", "is this the state of a run?");
  const auto at = static_cast<std::uint64_t>(position->second.to_vector<std::int64_t>()[0]);
  loading.later([&random, at] { random.set_position(at); });
}

}  // namespace damc
