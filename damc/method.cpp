#include "damc/method.h"

#include <algorithm>
#include <cmath>

#include "damc/batched.h"
#include "damc/methods/bigan.h"
#include "damc/methods/by_chains.h"
#include "damc/methods/by_encoder.h"
#include "damc/methods/meg.h"
#include "damc/training.h"

namespace damc {
namespace {

/// After rollbacks all rates are smaller.
LearnerOptions learning_after(std::int64_t rollbacks, const Config& c, double rate,
                              double weight_decay = 0.0) {
  const double share = std::ldexp(1.0, -static_cast<int>(rollbacks));
  LearnerOptions options = learning(c, share * rate, weight_decay);
  options.rate.least *= share;
  return options;
}

/// Noise of training; every rollback has streams of its own.
Generator noise(const Model& model, Stream purpose, std::int64_t rollbacks, Part share) {
  const auto stream = static_cast<std::uint64_t>(purpose) + (static_cast<std::uint64_t>(rollbacks) << 32);
  return Generator(static_cast<std::uint64_t>(model.config.seed), stream, model.device, share);
}

std::unique_ptr<Pool> make_pool(const Model& model, std::int64_t images) {
  if (model.config.start != Start::pool || !method_parts(model.config.method).walks()) return nullptr;
  Generator random = make_generator(model.config, Stream::pool, model.device);
  return std::make_unique<Pool>(images * (model.config.flip ? 2 : 1), model.config.nz, random);
}

}  // namespace

void check_shares(const Config& c, std::int64_t processes) {
  if (processes == 1) return;
  if (method_parts(c.method).critic != CriticKind::none) {
    user_error(
        fmt::format("{} processes with method {}, which learns from whole batches", processes, c.method),
        "start one");
  }
  const std::int64_t share = c.batch / processes;
  if (share * processes != c.batch || share % 4 != 0) {
    user_error(fmt::format("{} processes for a batch of {}", processes, c.batch),
               "they share it: each takes equally many images, a multiple of 4");
  }
  if (c.batch_gpu > 0 && c.batch_gpu < share && share % c.batch_gpu != 0) {
    user_error(
        fmt::format("batch_gpu = {} with {} processes for a batch of {}", c.batch_gpu, processes, c.batch),
        fmt::format("it has to divide the {} images of a process", share));
  }
}

Method::Method(Model& model, std::int64_t rollbacks, std::int64_t images, const Communicator& among)
    : model_(model),
      rollbacks_(rollbacks),
      pieces_(model.config.batch_gpu, among),
      random_(noise(model, Stream::training, rollbacks, among.part())),
      prior_random_(noise(model, Stream::prior, rollbacks, among.part())),
      watch_(model.device),
      sampler_(make_sampler()),
      pool_(make_pool(model, images)) {
  check_shares(model.config, among.part().count);
  if (model.critic) {
    add_critic_phase();
  } else if (model.V) {
    add_encoder_phases();
  } else {
    add_chain_phases();
  }
}

std::unique_ptr<AmortizedSampler> Method::make_sampler() {
  const Config& c = model_.config;
  if (!model_.Q) return nullptr;
  LearnerOptions options = learning_after(rollbacks_, c, c.lr_q, c.weight_decay);
  if (method_parts(c.method).sampler_afterwards) options.first = c.phase_iterations;
  return std::make_unique<AmortizedSampler>(
      *model_.Q, *model_.Q_target,
      AmortizedSamplerOptions{c.q_updates, c.p_uncond, c.split_losses, c.ema_every, c.ema_rho}, options,
      watch_);
}

Learner* Method::add_learner(const std::string& name, const std::string& key, Module& network, double rate,
                             std::int64_t first) {
  LearnerOptions options = learning_after(rollbacks_, model_.config, rate);
  options.first = first;
  return learners_.emplace_back(std::make_unique<Learner>(name, key, network, options, watch_)).get();
}

EnergyParts Method::contrastive(const Prior& prior) {
  const Config& c = model_.config;
  return {.learner = add_learner("energy", "e", *model_.E, c.lr_e),
          .learned = &prior,
          .loss = [l2 = c.energy_l2](
                      const Variable& at_plus,
                      const Variable& at_minus) { return contrastive_loss(at_plus, at_minus, l2); },
          .prior = &prior,
          .chains = {c.prior_steps, c.prior_step_size},
          .pieces = pieces_};
}

/// The energy of a stage learns from chains on what the stages before have found, first N(0, I) itself.
EnergyParts Method::ratio(std::int64_t stage, std::int64_t first) {
  const Config& c = model_.config;
  std::vector<const EnergyNet*> before;
  for (std::int64_t i = 0; i < stage; ++i) before.push_back(model_.ratios[static_cast<std::size_t>(i)].get());
  EnergyNet& E = *model_.ratios[static_cast<std::size_t>(stage)];
  const Prior* learned =
      priors_.emplace_back(std::make_unique<EnergyPrior>(std::vector<const EnergyNet*>{&E})).get();
  const Prior* prior = stage == 0
                           ? priors_.emplace_back(std::make_unique<GaussianPrior>()).get()
                           : priors_.emplace_back(std::make_unique<EnergyPrior>(std::move(before))).get();
  return {.learner = add_learner("energy", fmt::format("e{}", stage), E, c.lr_e, first),
          .learned = learned,
          .loss = ratio_loss,
          .prior = prior,
          .chains = {stage == 0 ? 0 : c.prior_steps, c.prior_step_size},
          .pieces = pieces_};
}

void Method::add_chain_phases() {
  const Config& c = model_.config;
  ChainParts parts{.likelihood = &model_.likelihood,
                   .prior = model_.prior.get(),
                   .sampler = sampler_.get(),
                   .pool = pool_.get(),
                   .generator = add_learner("generator", "g", model_.G, c.lr_g),
                   .energy = {},
                   .pieces = pieces_};
  const auto add = [&] { phases_.push_back(std::make_unique<ByChains>(c, parts, model_.device, random_)); };
  if (!model_.ratios.empty()) {
    for (std::int64_t stage = 0; stage < c.stages; ++stage) {
      parts.energy = ratio(stage, stage * c.phase_iterations);
      parts.prior = parts.energy->prior;
      add();
    }
    return;
  }
  if (model_.E) parts.energy = contrastive(*model_.prior);
  if (!method_parts(c.method).sampler_afterwards) return add();
  parts.sampler = nullptr;
  add();
  parts.sampler = sampler_.get();
  parts.generator = nullptr;
  parts.energy.reset();
  add();
}

void Method::add_encoder_phases() {
  const Config& c = model_.config;
  Model& m = model_;
  EncoderParts parts{
      .encoder = m.V.get(),
      .nz = c.nz,
      .loss = {},
      .learners = {add_learner("generator", "g", m.G, c.lr_g), add_learner("encoder", "v", *m.V, c.lr_g)},
      .sampler = sampler_.get(),
      .energy = {},
      .pieces = pieces_};
  const auto add = [&] {
    phases_.push_back(std::make_unique<ByEncoder>(parts, m.device, random_, prior_random_));
  };
  if (m.mixture) {
    parts.loss = [&m](const Encoded& q, const Tensor& x) {
      return regularised_error(m.likelihood, m.G, m.config.latent_l2, m.config.filter_l2, q, x);
    };
  } else if (m.noise) {
    parts.learners.push_back(add_learner("noise", "n", *m.noise, c.lr_g));
    parts.loss = [&m](const Encoded& q, const Tensor& x) {
      return negative_elbo(m.likelihood, *m.noise, q, x);
    };
  } else if (m.E) {
    parts.energy = contrastive(*m.prior);
    parts.loss = [&m](const Encoded& q, const Tensor& x) {
      return negative_elbo(m.likelihood, m.config.sigma_vae, q, x) + mean(m.prior->energies(q.z));
    };
  } else {
    parts.loss = [&m](const Encoded& q, const Tensor& x) {
      return negative_elbo(m.likelihood, m.config.sigma_vae, q, x);
    };
  }
  add();
  if (!m.ratios.empty()) {
    parts.learners.clear();
    parts.energy = ratio(0, c.phase_iterations);
    add();
  }
  if (m.second) {
    SecondStage& second = *m.second;
    parts.first = m.V.get();
    parts.encoder = second.encoder.get();
    parts.learners = {add_learner("second generator", "g2", *second.decoder, c.lr_2, c.phase_iterations),
                      add_learner("second encoder", "v2", *second.encoder, c.lr_2, c.phase_iterations),
                      add_learner("second noise", "n2", second.noise, c.lr_2, c.phase_iterations)};
    parts.loss = [&second](const Encoded& q, const Tensor& z) {
      return negative_elbo(second.likelihood, second.noise, q, z);
    };
    add();
  }
}

void Method::add_critic_phase() {
  const Config& c = model_.config;
  Model& m = model_;
  Learner* g = add_learner("generator", "g", m.G, c.lr_g);
  if (m.image_energy) {
    const MegParts parts{.generator = &m.G,
                         .energy = m.image_energy.get(),
                         .statistics = m.critic.get(),
                         .nz = c.nz,
                         .gradient_penalty = c.gradient_penalty,
                         .g_every = c.g_every,
                         .learn_generator = g,
                         .learn_energy = add_learner("energy", "d", *m.image_energy, c.lr_e),
                         .learn_statistics = add_learner("statistics", "h", *m.critic, c.lr_g)};
    phases_.push_back(std::make_unique<Meg>(parts, m.device, random_));
    return;
  }
  const BiGanParts parts{.generator = &m.G,
                         .encoder = m.V.get(),
                         .critic = m.critic.get(),
                         .nz = c.nz,
                         .learn_generator = g,
                         .learn_encoder = add_learner("encoder", "v", *m.V, c.lr_g),
                         .learn_critic = add_learner("critic", "d", *m.critic, c.lr_e)};
  phases_.push_back(std::make_unique<BiGan>(parts, m.device, random_));
}

Phase& Method::phase(std::int64_t k) const {
  const auto last = static_cast<std::int64_t>(phases_.size()) - 1;
  return *phases_[static_cast<std::size_t>(last == 0 ? 0
                                                     : std::min(k / model_.config.phase_iterations, last))];
}

Stats Method::iterate(std::int64_t k, const Minibatch& batch, const Lap& after) {
  const std::vector<Learner*> learn = phase(k).learners();
  for (Learner* learner : learn) learner->begin(k);
  watch_.begin(k);
  Stats stats = phase(k).iterate(k, batch, after);
  for (const Learner* learner : learn) stats.add("lr_" + learner->key(), learner->rate());
  return stats;
}

void Method::finish(const Images& train) {
  if (!model_.mixture) return;
  const Config& c = model_.config;
  CapturedStep<1, 1> encode("codes", {"x"}, model_.device, [this, &c](const auto& in) {
    return std::array{encoded_mean(*model_.V, in[0], c.nz)};
  });
  std::vector<Tensor> codes;
  for_batches(encode, train, model_.images, model_.device, nullptr, alone(),
              [&](std::int64_t, const auto& found) {
                codes.push_back(found[0].to(Device{}).to(Dtype::f64).clone());
              });
  model_.mixture->set(
      fit_mixture(cat(codes, 0), {.components = c.components, .seed = static_cast<std::uint64_t>(c.seed)}));
}

/// All that ever learn.
std::vector<Learner*> Method::learners() const {
  std::vector<Learner*> all;
  if (sampler_) all.push_back(&sampler_->learner());
  for (const auto& learner : learners_) all.push_back(learner.get());
  return all;
}

void Method::check() {
  const auto found = watch_.read();
  if (!found) return;
  watch_.reset();
  throw Divergence(fmt::format("iteration {}: {} is {}", found->iteration + 1, watch_.what(found->code),
                               found->is_nan ? "nan" : "infinite"));
}

StateDict Method::state_dict() const {
  StateDict state;
  for (const Learner* learner : learners()) state.merge(learner->state_dict());
  if (pool_) state.merge(pool_->state_dict());
  state["noise.position"] = position_of(random_);
  if (model_.V) state["noise.prior"] = position_of(prior_random_);
  return state;
}

void Method::find_state(Loading& loading) {
  for (const Learner* learner : learners()) learner->find_state(loading);
  if (pool_) pool_->find_state(loading);
  find_position(loading, random_, "noise.position");
  if (model_.V) find_position(loading, prior_random_, "noise.prior");
  loading.later([this] { watch_.reset(); });
}

}  // namespace damc
