/// A small classifier of digits, which the program trains itself in about a minute: a first example of the engine, and
/// features in which sets of digits are compared (classifier-fd) by those who have no network of somebody else's.
#pragma once

#include <cstdint>
#include <span>

#include "damc/config.h"
#include "damc/training.h"
#include "data/images.h"
#include "nn/layers.h"
#include "optim/learner.h"
#include "optim/stats.h"
#include "tensor/record.h"

namespace damc {

/// Digits' classes from images [N, 28, 28, 1] in [-1, 1].
class Classifier final : public Layer {
 public:
  static constexpr std::int64_t kClasses = 10, kFeatures = 128;

  explicit Classifier(Init& init);

  /// [N, 128], what the last layer takes.
  Variable features(const Variable& x) const;
  /// Logits [N, 10].
  Variable forward(const Variable& x) const override;
  /// "body.0.weight", "head.weight", ...
  void visit(const std::string& prefix, const Visitor& visitor) const override;

 private:
  Sequential body_;
  Linear head_;
};

/// How a classifier learns: Adam on the cross entropy of minibatches.
class ClassifierTraining {
 public:
  /// Keeps a reference to the classifier, which it updates; rates and clipping are the configuration's.
  ClassifierTraining(Classifier& classifier, const Config& config, Device device);

  /// Iteration k (from 0) on images x [B, 28, 28, 1] and their classes as rows of one_hot: loss_c, grad_norm_c, lr_c.
  Stats iterate(std::int64_t k, const Tensor& x, const Tensor& target);
  /// Waits for the device. Throws Error naming the iteration when a number was not finite since the last call.
  void check() { check_finite(watch_, "try a smaller lr_c"); }

  /// What the next iteration depends on besides the classifier.
  StateDict state_dict() const { return learner_.state_dict(); }
  /// Throws UserError naming what is missing or has another shape.
  void find_state(Loading& loading) const { learner_.find_state(loading); }

 private:
  FiniteWatch watch_;
  Learner learner_;
  CapturedStep<2, 2> update_;  // x, target -> loss, gradient norm
};

/// Rows that are 1 at the label's place and 0 elsewhere: f32 [N, classes]. Throws Error for a label out of range.
Tensor one_hot(std::span<const std::int32_t> labels, std::int64_t classes);

/// The share of images whose largest logit is that of their label. Throws Error unless they are labelled.
double accuracy(const Classifier& classifier, const Images& images, Device device);

}  // namespace damc
