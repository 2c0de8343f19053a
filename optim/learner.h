/// A network that learns: its optimiser, its learning rate over iterations, clipping, and a watch on its numbers.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "optim/adam.h"
#include "optim/schedule.h"
#include "tensor/communicator.h"
#include "tensor/random.h"

namespace damc {

struct LearnerOptions {
  ExponentialDecay rate;
  AdamOptions adam = {};
  double grad_clip = 0.0;  ///< largest global norm of the gradients; 0: no clipping
  std::int64_t first = 0;  ///< iteration at which it begins to learn, and its rate to decay
};

/// A loss over a batch of which each process works on an equal share, in equal pieces one after the other: what one was
/// computed from is freed before the next begins. Pieces (optim/pieces.h) makes them.
struct PieceLosses {
  std::int64_t pieces;  ///< of this process
  Generator& random;    ///< what the pieces draw from
  std::function<Variable(std::int64_t piece)>
      loss;  ///< of a piece, a mean over its rows; that of all is their mean
  const Communicator& among = alone();
};

/// What an update of several networks says.
struct JointUpdate {
  Tensor loss;
  std::vector<Tensor> norms;  ///< of their gradients before clipping, in their order
};

class Learner {
 public:
  /// Keeps references to the network, which it updates, and to the watch. Messages call the network `name`, numbers and
  /// files `key`: "generator", "g".
  Learner(std::string name, std::string key, Module& network, const LearnerOptions& options,
          FiniteWatch& watch);

  /// Writes the learning rate of iteration k (from 0) to the device.
  void begin(std::int64_t k);
  /// The rate of the iteration that begin() named.
  double rate() const { return rate_; }
  const std::string& key() const { return key_; }

  /// One update on a scalar loss, unless the watch has seen, or sees now, a number that is not finite. Returns the loss
  /// and the norm of its gradient before clipping.
  std::array<Tensor, 2> step(const Variable& loss);
  /// The same on a loss in pieces. The gradients of all processes are summed before anything looks at them, so that
  /// norm, clipping, watch and weights have the same bits in each.
  std::array<Tensor, 2> step(const PieceLosses& losses);

  /// The optimiser's state under "adam_<key>.".
  StateDict state_dict() const { return adam_.state_dict(prefix()); }
  /// Throws UserError naming what is missing or has another shape.
  void find_state(Loading& loading) const { adam_.find_state(loading, prefix()); }

 private:
  friend JointUpdate step_together(const Variable& loss, const std::vector<Learner*>& learners);
  friend JointUpdate step_together(const PieceLosses& losses, const std::vector<Learner*>& learners);
  static JointUpdate update_all(const Tensor& loss, const std::vector<Tensor>& gradients,
                                const std::vector<Learner*>& learners);
  static std::vector<Module*> networks(const std::vector<Learner*>& learners);
  std::array<Tensor, 2> update(const Tensor& loss, const std::vector<Tensor>& gradients);
  /// The norm of its gradients, which the watch has seen.
  Tensor watched_norm(const std::vector<Tensor>& gradients) const;
  void apply(const std::vector<Tensor>& gradients, const Tensor& norm) {
    adam_.update(gradients, norm, options_.grad_clip, &watch_);
  }
  std::string prefix() const { return "adam_" + key_ + "."; }

  std::string key_;
  Module& network_;
  LearnerOptions options_;
  FiniteWatch& watch_;
  std::int64_t loss_code_, norm_code_;
  Adam adam_;
  double rate_ = 0.0;
};

/// One update of each on a loss that they share, which the first is named with when it is not finite. Of all, or of none
/// when the gradient of one is not finite: they have one watch.
JointUpdate step_together(const Variable& loss, const std::vector<Learner*>& learners);
/// The same on a loss in pieces.
JointUpdate step_together(const PieceLosses& losses, const std::vector<Learner*>& learners);

}  // namespace damc
