/// Training of the sampler of GAN inversion, and of the energy of W+ (Section 5.4): a warm-up on the W+ that the encoder
/// and in-domain inversion give, then Algorithm 1 with a frozen generator.
///
/// The sampler's condition is the encoder's W+ of an image, so that it is computed once for each, and no weight of the
/// encoder belongs to the sampler. Method damc learns both, with the energy in the posterior's objective; damc-g the
/// sampler alone, as the authors' code comes to; lebm the energy alone, from the W+ of the warm-up.
#pragma once

#include <memory>
#include <optional>

#include "damc/chains/prior.h"
#include "damc/inversion/descent.h"
#include "damc/inversion/networks.h"
#include "damc/methods/energy_learning.h"
#include "damc/model.h"
#include "damc/sampler/amortized_sampler.h"
#include "damc/training.h"

namespace damc {

class InversionTraining final : public Training {
 public:
  /// With a generator and an encoder. Throws UserError for a method that is none of the three, and for W+ of another size
  /// than config.nz.
  InversionTraining(const Config& config, InversionNetworks networks, Device device);

  /// Height and width of the generator's images.
  std::int64_t image_size() const { return frozen_.generator->size(); }

  /// loss_q, grad_norm_q of the last sampler update; energy_plus, energy_minus, grad_norm_e; after the warm-up
  /// posterior_start and posterior_end, the mean squared error of G(z0) and G(z+) per pixel value; learning rates. Differs:
  /// the warm-up makes M updates an iteration, too, and its W+ are found in the iteration that they belong to.
  Stats iterate(std::int64_t k, const Tensor& x, std::span<const std::int64_t> numbers) override;
  void check() override { check_finite(watch_, "try a smaller lr_q or lr_e"); }
  /// "Q.p.*" and so on, "Q_dummy.*" of the target sampler, "E.ebm.*", as the authors' checkpoints have them.
  StateDict weights() const override;
  StateDict state_dict() const override;
  void find_state(Loading& loading) override;
  std::string depends_on() const override { return frozen_.fingerprint(); }
  std::int64_t parameter_count() const override;
  const char* loss() const override { return Q_ ? "loss_q" : "energy_plus"; }
  const char* metric() const override { return "mse"; }
  /// Squared error per pixel value of G(z), z of invert() after config.test_posterior_steps.
  double evaluate(const Images& images) const override;
  /// Where the W+ of images x begin: at a sample of the sampler, or at random where there is none.
  Tensor start(const Tensor& x, Generator& random) const;
  /// W+ after so many steps of the posterior from there.
  Tensor invert(const Tensor& x, std::int64_t steps, Generator& random) const;

 private:
  InversionObjective posterior() const;
  Tensor warm_up(const Tensor& x, const Tensor& condition);
  Tensor walk(const Tensor& x, const Tensor& z0, Stats& stats);
  std::vector<std::pair<std::string, Module*>> networks() const;
  std::vector<Learner*> learners() const;

  Config config_;
  InversionNetworks frozen_;
  Device device_;
  std::unique_ptr<EnergyNet> E_;             // null: the method learns none
  std::unique_ptr<Amortizer> Q_, Q_target_;  // null: the method has no sampler
  Generator random_;
  FiniteWatch watch_;
  std::unique_ptr<Learner> learn_energy_;
  std::unique_ptr<AmortizedSampler> sampler_;
  std::unique_ptr<EnergyPrior> prior_;
  std::unique_ptr<Starts> starts_;
  std::optional<EnergyLearning> energy_;
  std::optional<CapturedStep<2, 2>> update_sampler_;  // condition, z+ -> loss, gradient norm
};

}  // namespace damc
