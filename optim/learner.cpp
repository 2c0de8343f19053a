#include "optim/learner.h"

#include <utility>

#include "autograd/grad.h"
#include "autograd/ops.h"

namespace damc {
namespace {

struct LossAndGradients {
  Tensor loss;
  std::vector<Tensor> gradients;
};

/// Of the mean of the losses of all processes' pieces. A gradient of the last piece is sent while those of earlier layers
/// are computed.
LossAndGradients mean_gradients(const PieceLosses& losses, const std::vector<Variable>& parameters) {
  const std::int64_t parts = losses.pieces * losses.among.part().count;
  const std::size_t place_of_loss = parameters.size();
  std::vector<Tensor> mine(place_of_loss + 1);  // over this process's pieces so far
  const std::unique_ptr<Sums> sums = losses.among.sums(mine.size());
  losses.random.in_pieces(losses.pieces, [&](std::int64_t piece) {
    const Variable loss =
        parts == 1 ? losses.loss(piece) : losses.loss(piece) * (1.0 / static_cast<double>(parts));
    const auto found = [&](std::size_t place, const Tensor& number) {
      mine[place] = piece == 0 ? number : add(mine[place], number);
      if (piece + 1 == losses.pieces) sums->put(place, std::exchange(mine[place], {}));
    };
    grad(loss, parameters, found);
    found(place_of_loss, loss.value());
  });
  std::vector<Tensor> gradients = sums->finish();
  Tensor loss = std::move(gradients.back());
  gradients.pop_back();
  return {std::move(loss), std::move(gradients)};
}

std::vector<Variable> parameters_of(const std::vector<Module*>& networks) {
  std::vector<Variable> all;
  for (const Module* network : networks) {
    const std::vector<Variable> its = network->parameters();
    all.insert(all.end(), its.begin(), its.end());
  }
  return all;
}

}  // namespace

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

std::array<Tensor, 2> Learner::step(const PieceLosses& losses) {
  const auto [loss, gradients] = mean_gradients(losses, network_.parameters());
  watch_.see(loss, loss_code_);
  return update(loss, gradients);
}

std::array<Tensor, 2> Learner::update(const Tensor& loss, const std::vector<Tensor>& gradients) {
  const Tensor norm = watched_norm(gradients);
  apply(gradients, norm);
  return {loss, norm};
}

Tensor Learner::watched_norm(const std::vector<Tensor>& gradients) const {
  Tensor norm = global_norm(gradients);
  watch_.see(norm, norm_code_);
  return norm;
}

JointUpdate Learner::update_all(const Tensor& loss, const std::vector<Tensor>& gradients,
                                const std::vector<Learner*>& learners) {
  learners.at(0)->watch_.see(loss, learners[0]->loss_code_);
  JointUpdate done{loss, {}};
  std::vector<std::vector<Tensor>> parts;
  auto first = gradients.begin();
  for (const Learner* learner : learners) {
    const auto last = first + static_cast<std::ptrdiff_t>(learner->network_.parameters().size());
    done.norms.push_back(learner->watched_norm(parts.emplace_back(first, last)));
    first = last;
  }
  // All norms have been seen: a network is not updated where that of a later one stops it.
  for (std::size_t i = 0; i < learners.size(); ++i) learners[i]->apply(parts[i], done.norms[i]);
  return done;
}

std::vector<Module*> Learner::networks(const std::vector<Learner*>& learners) {
  std::vector<Module*> all;
  for (const Learner* learner : learners) all.push_back(&learner->network_);
  return all;
}

JointUpdate step_together(const Variable& loss, const std::vector<Learner*>& learners) {
  const std::vector<Tensor> gradients = grad(loss, parameters_of(Learner::networks(learners)));
  return Learner::update_all(loss.value(), gradients, learners);
}

JointUpdate step_together(const PieceLosses& losses, const std::vector<Learner*>& learners) {
  const auto [loss, gradients] = mean_gradients(losses, parameters_of(Learner::networks(learners)));
  return Learner::update_all(loss, gradients, learners);
}

}  // namespace damc
