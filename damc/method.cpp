#include "damc/method.h"

#include <algorithm>
#include <cmath>

namespace damc {
namespace {

/// Of a network with this initial rate; after rollbacks all rates are smaller.
LearnerOptions learning(const Config& c, double initial, std::int64_t rollbacks) {
  const double share = std::ldexp(1.0, -static_cast<int>(rollbacks));
  return {.rate = {share * initial, c.lr_decay, c.lr_decay_every, share * c.lr_min},
          .adam = {c.beta1, c.beta2, 1e-8, 0.0},
          .grad_clip = c.grad_clip};
}

/// Training's noise; every rollback has a stream of its own.
Generator noise(const Model& model, std::int64_t rollbacks) {
  const auto stream =
      static_cast<std::uint64_t>(Stream::training) + (static_cast<std::uint64_t>(rollbacks) << 32);
  return Generator(static_cast<std::uint64_t>(model.config.seed), stream, model.device);
}

std::unique_ptr<Pool> make_pool(const Model& model, std::int64_t images) {
  if (model.config.start != Start::pool) return nullptr;
  Generator random = make_generator(model.config, Stream::pool, model.device);
  return std::make_unique<Pool>(images * (model.config.flip ? 2 : 1), model.config.nz, random);
}

}  // namespace

Method::Method(Model& model, std::int64_t rollbacks, std::int64_t images)
    : model_(model),
      random_(noise(model, rollbacks)),
      watch_(model.device),
      sampler_(make_sampler(rollbacks)),
      generator_(make_learner("generator", "g", model.G, model.config.lr_g, rollbacks)),
      energy_(model.E ? make_learner("energy", "e", *model.E, model.config.lr_e, rollbacks) : nullptr),
      pool_(make_pool(model, images)) {
  add_phases();
}

std::unique_ptr<Learner> Method::make_learner(const char* name, const char* key, Module& network, double rate,
                                              std::int64_t rollbacks) {
  return std::make_unique<Learner>(name, key, network, learning(model_.config, rate, rollbacks), watch_);
}

std::unique_ptr<AmortizedSampler> Method::make_sampler(std::int64_t rollbacks) {
  const Config& c = model_.config;
  if (!model_.Q) return nullptr;
  LearnerOptions options = learning(c, c.lr_q, rollbacks);
  options.adam.weight_decay = c.weight_decay;
  if (method_parts(c.method).sampler_afterwards) options.first = c.phase_iterations;
  return std::make_unique<AmortizedSampler>(
      *model_.Q, *model_.Q_target,
      AmortizedSamplerOptions{c.q_updates, c.p_uncond, c.split_losses, c.ema_every, c.ema_rho}, options,
      watch_);
}

void Method::add_phases() {
  const Config& c = model_.config;
  const ChainParts all{.likelihood = &model_.likelihood,
                       .prior = model_.prior.get(),
                       .sampler = sampler_.get(),
                       .pool = pool_.get(),
                       .generator = generator_.get(),
                       .energy = energy_.get(),
                       .learned = model_.prior.get(),
                       .energy_loss = [l2 = c.energy_l2](const Variable& plus, const Variable& minus) {
                         return contrastive_loss(plus, minus, l2);
                       }};
  const auto add = [&](const ChainParts& parts) {
    phases_.push_back(std::make_unique<ByChains>(c, parts, model_.device, random_));
  };
  if (!method_parts(c.method).sampler_afterwards) return add(all);
  ChainParts before = all, afterwards = all;
  before.sampler = nullptr;
  afterwards.generator = afterwards.energy = nullptr;
  add(before);
  add(afterwards);
}

Stats Method::iterate(std::int64_t k, const Minibatch& batch, const Lap& after) {
  const std::int64_t length = model_.config.phase_iterations;
  const auto last = static_cast<std::int64_t>(phases_.size()) - 1;
  ByChains& phase = *phases_[static_cast<std::size_t>(last == 0 ? 0 : std::min(k / length, last))];
  for (Learner* learner : phase.learners()) learner->begin(k);
  watch_.begin(k);
  Stats stats = phase.iterate(k, batch, after);
  for (const Learner* learner : phase.learners()) stats.add("lr_" + learner->key(), learner->rate());
  return stats;
}

/// All that ever learn.
std::vector<Learner*> Method::learners() const {
  std::vector<Learner*> all;
  if (sampler_) all.push_back(&sampler_->learner());
  all.push_back(generator_.get());
  if (energy_) all.push_back(energy_.get());
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
  state["noise.position"] =
      Tensor::from(std::vector<std::int64_t>{static_cast<std::int64_t>(random_.position())}, {1});
  return state;
}

void Method::load_state_dict(const StateDict& state) {
  for (Learner* learner : learners()) learner->load_state_dict(state);
  if (pool_) pool_->load_state_dict(state);
  const auto position = state.find("noise.position");
  if (position == state.end() || position->second.dtype() != Dtype::i64 || position->second.numel() != 1) {
    user_error("no noise position in the state", "is this the state of a run?");
  }
  random_.set_position(static_cast<std::uint64_t>(position->second.to_vector<std::int64_t>()[0]));
  watch_.reset();
}

}  // namespace damc
