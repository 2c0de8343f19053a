#include "damc/inversion/training.h"

#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

constexpr const char *kEnergy = "E.", *kSampler = "Q.", *kTarget = "Q_dummy.";  // of the weights' names
constexpr std::int64_t kHiddenLayers = 3;                                       // of the energy

/// Throws UserError for a method that is not for GAN inversion.
const MethodParts& checked_parts(const std::string& method) {
  for (const char* known : {"damc", "damc-g", "lebm"}) {
    if (method == known) return method_parts(method);
  }
  user_error(fmt::format("method {} with GAN inversion", method),
             "damc learns sampler and energy, damc-g the sampler, lebm the energy");
}

void check_sizes(const Config& c, const StyleGan& G) {
  const std::int64_t latents = G.sizes().latents();
  if (c.nz != latents || c.nemb != latents) {
    user_error(fmt::format("nz = {}, nemb = {} where W+ has {} numbers, {} layers of {}", c.nz, c.nemb,
                           latents, G.sizes().layers(), G.sizes().latent),
               fmt::format("--set nz={} --set nemb={}, or take the preset's networks", latents, latents));
  }
}

/// Mean squared error of G(w) per pixel value, a scalar.
Tensor pixel_error(const ObjectiveTerms& terms) { return mean(terms.pixel).value(); }

}  // namespace

InversionTraining::InversionTraining(const Config& c, InversionNetworks networks, Device device)
    : config_(c),
      frozen_(std::move(networks)),
      device_(device),
      random_(make_generator(c, Stream::training, device)),
      watch_(device) {
  const MethodParts& parts = checked_parts(c.method);
  check_sizes(c, *frozen_.generator);
  Generator initial = make_generator(c, Stream::init, device);
  Init init(initial, Dtype::f32, products_of(c.precision, device));
  if (parts.sampler) {
    const auto condition_is_given = [] { return std::make_unique<Sequential>(); };
    Q_ = std::make_unique<Amortizer>(condition_is_given(), amortizer_options(c), init);
    Q_target_ = std::make_unique<Amortizer>(condition_is_given(), amortizer_options(c), init);
    Q_target_->copy_from(*Q_);
    sampler_ = std::make_unique<AmortizedSampler>(
        *Q_, *Q_target_,
        AmortizedSamplerOptions{c.q_updates, c.p_uncond, c.split_losses, c.ema_every, c.ema_rho},
        learning(c, c.lr_q, c.weight_decay), watch_);
    update_sampler_.emplace("sampler updates", std::array{"condition", "z+"}, device,
                            [this](const auto& in) { return sampler_->fit(in[0], in[1], random_); });
    starts_ = std::make_unique<FromSampler>(*sampler_, c.prior_noise_starts);
  } else {
    starts_ = std::make_unique<FromNoise>(c.nz);
  }
  if (parts.prior != PriorKind::energy) return;
  E_ = std::make_unique<EnergyNet>(c.nz, c.ndf, init, kHiddenLayers);
  prior_ = std::make_unique<EnergyPrior>(std::vector<const EnergyNet*>{E_.get()});
  learn_energy_ = std::make_unique<Learner>("energy", "e", *E_, learning(c, c.lr_e), watch_);
  const auto loss = [l2 = c.energy_l2](const Variable& at_plus, const Variable& at_minus) {
    return contrastive_loss(at_plus, at_minus, l2);
  };
  energy_.emplace(EnergyParts{.learner = learn_energy_.get(),
                              .learned = prior_.get(),
                              .loss = loss,
                              .prior = prior_.get(),
                              .chains = {c.prior_steps, c.prior_step_size}},
                  *starts_, device, random_);
}

/// What the posterior's W+ minimise: the likelihood, and the prior where it is learned.
InversionObjective InversionTraining::posterior() const {
  ObjectiveWeights weights;
  if (!frozen_.vgg) weights.feature = 0.0;
  if (E_) weights.energy = energy_factor(image_size(), config_.sigma);
  return InversionObjective(*frozen_.generator, frozen_.vgg.get(), nullptr, weights, E_.get());
}

/// W+ near the encoder's of images.
Tensor InversionTraining::warm_up(const Tensor& x, const Tensor& condition) {
  if (config_.warmup_steps == 0) return condition;
  ObjectiveWeights weights = kInDomainWeights;
  if (!frozen_.vgg) weights.feature = 0.0;
  const InversionObjective objective(*frozen_.generator, frozen_.vgg.get(), frozen_.encoder.get(), weights);
  return descend(objective, condition, x, {config_.warmup_steps, config_.lr_w}, random_).w_plus;
}

/// Posterior updates from z0.
Tensor InversionTraining::walk(const Tensor& x, const Tensor& z0, Stats& stats) {
  const auto note = [&](std::int64_t step, const ObjectiveTerms& terms) {
    if (step == 0) stats.add("posterior_start", pixel_error(terms));
    if (step == config_.posterior_steps) stats.add("posterior_end", pixel_error(terms));
  };
  return descend(posterior(), z0, x, {config_.posterior_steps, config_.lr_w}, random_, note).w_plus;
}

Stats InversionTraining::iterate(std::int64_t k, const Tensor& x, std::span<const std::int64_t>) {
  watch_.begin(k);
  for (Learner* learner : learners()) learner->begin(k);
  Stats stats;
  const Tensor condition = frozen_.encoder->forward(x).value();
  const bool warms_up = !Q_ || k < config_.phase_iterations;
  const Tensor z0 = warms_up ? condition : starts_->posterior(condition, random_);
  const Tensor z_plus = warms_up ? warm_up(x, condition) : walk(x, z0, stats);
  if (Q_) stats.add<2>({"loss_q", "grad_norm_q"}, (*update_sampler_)({condition, z_plus}));
  if (energy_ && (!Q_ || !warms_up)) energy_->update(z_plus, energy_->walk(z0, {}), stats, {});
  if (Q_ && k + 1 == config_.phase_iterations) {
    Q_target_->copy_from(*Q_);
  } else if (Q_ && sampler_->follows_after(k)) {
    sampler_->follow();
  }
  for (const Learner* learner : learners()) stats.add("lr_" + learner->key(), learner->rate());
  return stats;
}

std::vector<std::pair<std::string, Module*>> InversionTraining::networks() const {
  std::vector<std::pair<std::string, Module*>> all;
  if (E_) all.emplace_back(kEnergy, E_.get());
  if (Q_) all.emplace_back(kSampler, Q_.get());
  if (Q_target_) all.emplace_back(kTarget, Q_target_.get());
  return all;
}

std::vector<Learner*> InversionTraining::learners() const {
  std::vector<Learner*> all;
  if (sampler_) all.push_back(&sampler_->learner());
  if (learn_energy_) all.push_back(learn_energy_.get());
  return all;
}

StateDict InversionTraining::weights() const {
  StateDict all;
  for (const auto& [prefix, network] : networks()) all.merge(network->state_dict(prefix));
  return all;
}

StateDict InversionTraining::state_dict() const {
  StateDict all;
  for (const Learner* learner : learners()) all.merge(learner->state_dict());
  all["noise.position"] = position_of(random_);
  return all;
}

void InversionTraining::find_state(Loading& loading) {
  for (const auto& [prefix, network] : networks()) network->find_state(loading, prefix);
  for (const Learner* learner : learners()) learner->find_state(loading);
  find_position(loading, random_, "noise.position");
}

std::int64_t InversionTraining::parameter_count() const {
  return (E_ ? E_->parameter_count() : 0) + (Q_ ? Q_->parameter_count() : 0);
}

Tensor InversionTraining::start(const Tensor& x, Generator& random) const {
  return Q_ ? Q_->sample(frozen_.encoder->forward(x).value(), random)
            : frozen_.generator->random_latents(x.size(0), random);
}

Tensor InversionTraining::invert(const Tensor& x, std::int64_t steps, Generator& random) const {
  return descend(posterior(), start(x, random), x, {steps, config_.lr_w}, random).w_plus;
}

double InversionTraining::evaluate(const Images& images) const {
  Generator random = make_generator(config_, Stream::evaluation, device_);
  return squared_error(images, device_, [&](const Tensor& x) {
    return frozen_.generator->forward(invert(x, config_.test_posterior_steps, random)).value();
  });
}

}  // namespace damc
