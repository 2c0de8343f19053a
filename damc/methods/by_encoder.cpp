#include "damc/methods/by_encoder.h"

namespace damc {
namespace {

using One = std::array<Tensor, 1>;

}  // namespace

ByEncoder::ByEncoder(EncoderParts parts, Device device, Generator& random, Generator& prior_random)
    : parts_(std::move(parts)),
      random_(random),
      starts_(parts_.nz),
      observe_("first encoder", {"x"}, device,
               [this](const auto& in) { return One{encode_all(*parts_.first, in[0])}; }),
      encode_("encoder", {"x"}, device,
              [this](const auto& in) { return One{encode_all(*parts_.encoder, in[0])}; }),
      learn_("encoder and generator update", {"x"}, device, [this](const auto& in) { return learn(in[0]); }),
      update_sampler_(
          "sampler updates", {"x", "z"}, device,
          [this](const auto& in) { return parts_.sampler->fit(in[0], in[1], parts_.pieces, random_); }),
      update_target_("target sampler's update", {}, device, [this](const auto&) {
        parts_.sampler->follow();
        return std::array<Tensor, 0>{};
      }) {
  if (parts_.energy) energy_.emplace(*parts_.energy, starts_, device, prior_random);
}

Stats ByEncoder::iterate(std::int64_t k, const Minibatch& batch, const Lap& after) {
  Stats stats;
  const Tensor x = parts_.first ? observe_({batch.x}, after)[0] : batch.x;
  Tensor z;
  if (parts_.learners.empty()) {
    z = encode_({x}, after)[0];
  } else {
    const auto [drawn, loss, norm_g, norm_v, length] = learn_({x}, after);
    stats.add<4>({"loss_g", "grad_norm_g", "grad_norm_v", "z_norm"}, {loss, norm_g, norm_v, length});
    z = drawn;
  }
  if (parts_.sampler) {
    stats.add<2>({"loss_q", "grad_norm_q"}, update_sampler_({x, z}, after));
    if (parts_.sampler->follows_after(k)) update_target_({});
  }
  if (energy_) energy_->update(z, energy_->walk(z, after), stats, after);
  return stats;
}

/// z of all observations.
Tensor ByEncoder::encode_all(const Layer& encoder, const Tensor& x) {
  return parts_.pieces.map(x, random_, [&](std::int64_t p) {
    return encode(encoder, parts_.pieces.of(x, p), parts_.nz, random_).z.value();
  });
}

std::array<Tensor, 5> ByEncoder::learn(const Tensor& x) {
  const Pieces& pieces = parts_.pieces;
  std::vector<Tensor> drawn;
  const PieceLosses losses = pieces.losses(x, random_, [&](std::int64_t p) {
    const Tensor observed = pieces.of(x, p);
    const Encoded q = encode(*parts_.encoder, observed, parts_.nz, random_);
    drawn.push_back(q.z.value());
    return parts_.loss(q, observed);
  });
  const auto [loss, norms] = step_together(losses, parts_.learners);
  const Tensor z = drawn.size() == 1 ? drawn[0] : cat(drawn, 0);
  const Tensor square =
      pieces.means(x, [&](std::int64_t p) { return std::array{mean_square(pieces.of(z, p))}; })[0];
  return {z, loss, norms.front(), norms[norms.size() > 1 ? 1 : 0], sqrt(square)};
}

std::vector<Learner*> ByEncoder::learners() const {
  std::vector<Learner*> all = parts_.learners;
  if (parts_.sampler) all.push_back(&parts_.sampler->learner());
  if (energy_) all.push_back(energy_->learner());
  return all;
}

}  // namespace damc
