#include "optim/learner.h"

#include "autograd/grad.h"

namespace damc {

Learner::Learner(std::string name, std::string key, Module& network, const LearnerOptions& options,
                 FiniteWatch& watch)
    : key_(std::move(key)),
      network_(network),
      options_(options),
      watch_(watch),
      loss_code_(watch.add(name + " loss")),
      norm_code_(watch.add(name + " gradient norm")),
      adam_(network, options.adam) {}

void Learner::begin(std::int64_t k) {
  rate_ = options_.rate.at(k - options_.first);
  adam_.set_rate(rate_);
}

std::array<Tensor, 2> Learner::step(const Variable& loss) {
  watch_.see(loss.value(), loss_code_);
  const std::vector<Tensor> gradients = grad(loss, network_.parameters());
  const Tensor norm = global_norm(gradients);
  watch_.see(norm, norm_code_);
  adam_.update(gradients, norm, options_.grad_clip, &watch_);
  return {loss.value(), norm};
}

}  // namespace damc
