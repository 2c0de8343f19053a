#include "damc/nets/layered_generator.h"

#include <cmath>
#include <numbers>

#include "tensor/error.h"

namespace damc {
namespace {

/// x Phi(x). Differs: its form by tanh (Hendrycks and Gimpel, 2016), which is off by at most 0.0005.
class Gelu final : public Layer {
 public:
  Variable forward(const Variable& x) const override {
    const Variable inner = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * (x * square(x)));
    return 0.5 * (x * affine(tanh(inner), 1.0, 1.0));
  }
};

/// Flatten's way back, to `side` pixels in each direction.
class Unflatten final : public Layer {
 public:
  explicit Unflatten(std::int64_t side) : side_(side) {}
  Variable forward(const Variable& x) const override { return reshape(x, {x.size(0), side_, side_, -1}); }

 private:
  std::int64_t side_;
};

void add_projection(Sequential& project, std::int64_t latents, std::int64_t side, std::int64_t width,
                    Init& init) {
  project.emplace<Linear>(latents, 4 * side * side, init);
  project.emplace<Gelu>();
  project.emplace<Unflatten>(side);
  project.emplace<ConvTranspose2d>(4, width, 5, ConvOptions{1, 2}, init);
  project.emplace<Gelu>();
}

void add_block(Sequential& block, std::int64_t width, Init& init) {
  block.emplace<Conv2d>(width, width, 5, ConvOptions{1, 2}, init);
  block.emplace<Gelu>();
  block.emplace<Conv2d>(width, width, 3, ConvOptions{1, 1}, init);
  block.emplace<Gelu>();
}

/// From an image of `side` pixels to a latent.
void add_head(Sequential& head, std::int64_t side, std::int64_t width, std::int64_t latents, Init& init) {
  head.emplace<Conv2d>(width, latents, 5, ConvOptions{1, 0}, init);
  head.emplace<Gelu>();
  head.emplace<Flatten>();
  head.emplace<Linear>((side - 4) * (side - 4) * latents, latents, init);
}

}  // namespace

LayeredGenerator::LayeredGenerator(const Architecture& images, std::int64_t width, Init& init) {
  std::int64_t side = images.size / 2;
  int doublings = 0;
  for (; side > 16; ++doublings) side /= 2;
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    Stage& stage = *stages_.emplace_back(std::make_unique<Stage>());
    add_projection(stage.project, kSizes[i], side, width, init);
    add_block(stage.block, width, init);
    if (i + 1 == kSizes.size()) break;
    add_head(stage.mean, side, width, kSizes[i + 1], init);
    add_head(stage.log_variance, side, width, kSizes[i + 1], init);
  }
  add_block(last_block_, width, init);
  for (; doublings > 0; --doublings) {
    image_.emplace<ConvTranspose2d>(width, width, 4, ConvOptions{2, 1}, init);
    image_.emplace<Gelu>();
  }
  image_.emplace<ConvTranspose2d>(width, images.channels, 4, ConvOptions{2, 1}, init);
  image_.push_back(tanh_layer());
}

Variable LayeredGenerator::forward(const Variable& z) const {
  ENSURE(z.value().ndim() == 2 && z.size(1) == kLatents,
         "layered generator: z has shape {}, expected [N, {}]", z.shape().str(), kLatents);
  Variable latent = narrow(z, 1, 0, kSizes[0]), h;
  std::int64_t used = kSizes[0];
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = *stages_[i];
    const Variable projected = stage.project.forward(latent);
    const Variable determined = projected + stage.block.forward(projected);
    h = i == 0 ? determined : determined + h;
    if (i + 1 == stages_.size()) break;
    // Differs: v is softplus, so that no deviation is below 1, as in the authors' code.
    const Variable log_variance =
        clamp(affine(softplus(stage.log_variance.forward(h)), 1.0, 1e-8), 0.0, 10.0);
    latent = stage.mean.forward(h) + exp(0.5 * log_variance) * narrow(z, 1, used, kSizes[i + 1]);
    used += kSizes[i + 1];
  }
  return image_.forward(h + last_block_.forward(h));
}

void LayeredGenerator::visit(const std::string& prefix, const Visitor& visitor) const {
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const std::string own = fmt::format("{}stages.{}.", prefix, i);
    stages_[i]->project.visit(own + "project.", visitor);
    stages_[i]->block.visit(own + "block.", visitor);
    stages_[i]->mean.visit(own + "mean.", visitor);
    stages_[i]->log_variance.visit(own + "log_variance.", visitor);
  }
  last_block_.visit(prefix + "last_block.", visitor);
  image_.visit(prefix + "image.", visitor);
}

}  // namespace damc
