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
  return update(loss.value(), grad(loss, network_.parameters()));
}

std::array<Tensor, 2> Learner::update(const Tensor& loss, const std::vector<Tensor>& gradients) {
  const Tensor norm = global_norm(gradients);
  watch_.see(norm, norm_code_);
  adam_.update(gradients, norm, options_.grad_clip, &watch_);
  return {loss, norm};
}

std::vector<Tensor> step_together(const Variable& loss, const std::vector<Learner*>& learners) {
  std::vector<Variable> parameters;
  for (const Learner* learner : learners) {
    const std::vector<Variable> its = learner->network_.parameters();
    parameters.insert(parameters.end(), its.begin(), its.end());
  }
  learners.at(0)->watch_.see(loss.value(), learners[0]->loss_code_);
  const std::vector<Tensor> gradients = grad(loss, parameters);
  std::vector<Tensor> norms;
  auto first = gradients.begin();
  for (Learner* learner : learners) {
    const auto last = first + static_cast<std::ptrdiff_t>(learner->network_.parameters().size());
    norms.push_back(learner->update(loss.value(), {first, last})[1]);
    first = last;
  }
  return norms;
}

}  // namespace damc
