/// What a run trains that is no generative model (method.h): a classifier, and the networks of GAN inversion.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "damc/config.h"
#include "data/images.h"
#include "optim/learner.h"
#include "optim/stats.h"
#include "tensor/random.h"

namespace damc {

class Training {
 public:
  virtual ~Training() = default;

  /// Iteration k (from 0) on images x [B, H, W, C] in [-1, 1], which have these numbers among the training images.
  virtual Stats iterate(std::int64_t k, const Tensor& x, std::span<const std::int64_t> numbers) = 0;
  /// Waits for the device. Throws Error naming the iteration when a number was not finite since the last call.
  virtual void check() = 0;

  /// What is learned, by the names that files have.
  virtual StateDict weights() const = 0;
  /// What the next iteration depends on besides: optimisers, and positions in streams of noise.
  virtual StateDict state_dict() const = 0;
  /// Takes both. Throws UserError naming what is missing or has another shape, and changes nothing then.
  void load_state_dict(const StateDict& state) { load_all(state, *this); }
  /// The first half of that.
  virtual void find_state(Loading& loading) = 0;
  /// The networks that it learns beside and that no file of the run holds, by their checksums; a run goes on with the
  /// same ones only. Empty: there are none.
  virtual std::string depends_on() const { return {}; }

  virtual std::int64_t parameter_count() const = 0;
  /// The name of the loss among what iterate() returns, for the status line.
  virtual const char* loss() const = 0;
  /// The name of what evaluate() measures.
  virtual const char* metric() const = 0;
  /// On the images of a test.
  virtual double evaluate(const Images& images) const = 0;
  /// Files for other programs, beside each save.
  virtual void write_files(const std::filesystem::path& /*folder*/) const {}
};

/// The squared error per pixel value in [-1, 1] of what `made` makes of images x [N, H, W, C], over all images.
double squared_error(const Images& images, Device device, const std::function<Tensor(const Tensor& x)>& made);

/// How a configuration's networks learn: from this rate on, which decays, by Adam with clipping.
LearnerOptions learning(const Config& config, double rate, double weight_decay = 0.0);

/// Throws Error, with the advice as its hint, when the watch has seen a number that is not finite.
void check_finite(const FiniteWatch& watch, const char* advice);

/// A generator's position in its stream, as states hold it.
Tensor position_of(const Generator& random);
/// Finds it, to be set. Throws UserError where the state has none.
void find_position(Loading& loading, Generator& random, const std::string& name);

}  // namespace damc
