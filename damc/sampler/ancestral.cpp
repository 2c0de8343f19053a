#include "damc/sampler/ancestral.h"

#include <algorithm>
#include <optional>

#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

/// One block, prepared: W and W_s stacked; W_g and W_b stacked, b_g and b_s (which is part of the shift); W_c cut into
/// its time and image columns.
struct PreparedBlock {
  Tensor joint, bias;
  Tensor context, context_bias;
  Tensor per_time;        // W_ct SiLU(temb), [steps, out]
  Tensor per_image;       // W_cx SiLU(xemb) + b_c, [N, out]; N is 1 when all z share one embedding
  Tensor gate_and_shift;  // of the steps in hand, [steps N, 2 out]; the gate before its sigmoid
  Tensor joined;          // the input, of the last three blocks: two earlier outputs side by side
  Tensor out;             // the output, or the columns of a later block's `joined` where it goes
};

/// The network's part of eps_hat, eps_hat - z, for many times under one xemb.
class PreparedDenoiser {
 public:
  /// For z [rows, nz].
  PreparedDenoiser(const Denoiser& denoiser, std::int64_t rows, const Tensor& xemb, const Tensor& times)
      : denoiser_(denoiser), plain_{{}, denoiser.precision()}, n_(xemb.size(0)), steps_(times.size(0)) {
    const Tensor time = silu(denoiser.time_embedding(times).value()), image = silu(xemb);
    for (const auto& block : denoiser.blocks()) {
      const Tensor& w = block->layer.weight.value();
      const Tensor& b = block->layer.bias.value();
      const Tensor& w_c = block->layer_ctx.weight.value();
      blocks_.push_back(
          {cat(std::vector<Tensor>{w, block->skip.weight.value()}, 0),
           b,
           cat(std::vector<Tensor>{block->hyper_gate.weight.value(), block->hyper_bias.weight.value()}, 0),
           cat(std::vector<Tensor>{block->hyper_gate.bias.value(), block->skip.bias.value()}, 0),
           linear(time, w_c.narrow(1, 0, kTimeEmbedding), {}, plain_),
           linear(image, w_c.narrow(1, kTimeEmbedding, xemb.size(1)), block->layer_ctx.bias.value(), plain_),
           {},
           {},
           {}});
    }
    lay_out(rows, xemb);
    std::vector<Tensor> weights{denoiser.fourier_projection().value()};
    for (const PreparedBlock& block : blocks_) weights.insert(weights.end(), {block.joint, block.context});
    pinned_.emplace(std::move(weights));
  }

  /// eps_hat - z at time number i, in memory of its own until the next call; calls go through the times in order, so
  /// contexts are made some at a time.
  const Tensor& operator()(std::int64_t i, const Tensor& z) {
    if (i >= first_ + count_ || i < first_) prepare(i);
    Tensor x = fourier_features(z, denoiser_.fourier_projection().value(), plain_.precision);
    for (const PreparedBlock& block : blocks_) {
      if (block.joined.defined()) x = block.joined;
      const Tensor now = block.gate_and_shift.narrow(0, (i - first_) * n_, n_);
      gated_linear_out(
          block.out, x, block.joint, block.bias, now,
          &block != &blocks_.back() ? ProductOptions{kDenoiserActivation, plain_.precision} : plain_);
      x = block.out;
    }
    return blocks_.back().out;
  }

 private:
  /// Memory for what passes between the blocks: an output that a later block takes lies on the right of that block's
  /// input, the running value arrives on its left.
  void lay_out(std::int64_t rows, const Tensor& like) {
    const auto columns = [&](std::int64_t count) {
      return Tensor::empty({rows, count}, like.dtype(), like.device());
    };
    for (std::size_t k = kDenoiserBlocks; k-- > 0;) {  // a block's input before the outputs that go into it
      const std::int64_t width = blocks_[k].bias.size(0), in = blocks_[k].joint.size(1);
      if (kDenoiserWiring[k].takes >= 0) blocks_[k].joined = columns(in);
      const auto taker = std::ranges::find(kDenoiserWiring, static_cast<int>(k), &DenoiserWiring::takes);
      const bool next_joins = k + 1 < kDenoiserBlocks && blocks_[k + 1].joined.defined();
      if (taker != std::end(kDenoiserWiring)) {
        const Tensor& joined = blocks_[static_cast<std::size_t>(taker - kDenoiserWiring)].joined;
        blocks_[k].out = joined.narrow(1, joined.size(1) - width, width);
      } else {
        blocks_[k].out = next_joins ? blocks_[k + 1].joined.narrow(1, 0, width) : columns(width);
      }
    }
  }

  /// Gates and shifts of the next times: on the CPU of few, so that they are still in the cache when they are used,
  /// on a GPU of many, so that there are few kernels.
  void prepare(std::int64_t i) {
    const std::int64_t rows = blocks_[0].per_time.device().type == DeviceType::cpu ? 256 : 4096;
    first_ = i;
    count_ = std::min(std::max<std::int64_t>(1, rows / std::max<std::int64_t>(1, n_)), steps_ - i);
    for (PreparedBlock& block : blocks_) {
      const std::int64_t width = block.bias.size(0);
      const Tensor per_time = block.per_time.narrow(0, i, count_).reshape({count_, 1, width});
      const Tensor c = silu(add(per_time, block.per_image)).reshape({count_ * n_, width});
      block.gate_and_shift = linear(c, block.context, block.context_bias, plain_);
    }
  }

  const Denoiser& denoiser_;
  ProductOptions plain_;  // without an activation
  std::int64_t n_, steps_;
  std::int64_t first_ = 0, count_ = 0;
  std::vector<PreparedBlock> blocks_;
  std::optional<PinnedWeights> pinned_;
};

}  // namespace

AncestralPlan::AncestralPlan(const AncestralOptions& options, Dtype dtype, Device device)
    : options_(options) {
  ENSURE(options.steps >= 2, "ancestral sampling: {} steps", options.steps);
  for (int i = options.steps - 1; i >= 0; --i) {
    logsnrs_.push_back(options.schedule(static_cast<double>(i) / static_cast<double>(options.steps - 1)));
  }
  times_ = Tensor::from(logsnrs_, {options.steps}).to(dtype).to(device);
}

namespace {

/// Step number k of a plan; the last one ends at t = 0.
ReverseStep step_of(const AncestralPlan& plan, std::size_t k) {
  const AncestralOptions& options = plan.options();
  const std::vector<double>& logsnrs = plan.logsnrs();
  if (k + 1 == logsnrs.size()) return final_step(logsnrs[k]);
  return options.solver == Solver::ancestral ? reverse_step(logsnrs[k], logsnrs[k + 1], options.gamma)
                                             : solver_step(logsnrs[k], logsnrs[k + 1], options.eta);
}

/// What stands for z_hat over the whole of step k in DPM-Solver++(2M): the line through this step's and the last one's,
/// half a step ahead. The first and the last step know no better than z_hat itself.
Tensor extrapolated(const Tensor& z_hat, const Tensor& before, const std::vector<double>& logsnrs,
                    std::size_t k) {
  if (!before.defined() || k + 1 == logsnrs.size()) return z_hat;
  const double ahead = 0.5 * (logsnrs[k + 1] - logsnrs[k]) / (logsnrs[k] - logsnrs[k - 1]);
  return sub(mul(z_hat, 1.0 + ahead), mul(before, ahead));
}

}  // namespace

Tensor ancestral_sample(const Denoiser& denoiser, const Tensor& zT, const Tensor& xemb,
                        const Tensor& unconditional, const AncestralPlan& plan, Generator* noise) {
  ENSURE(zT.ndim() == 2 && xemb.ndim() == 2 && (xemb.size(0) == zT.size(0) || xemb.size(0) == 1),
         "ancestral_sample: z {}, xemb {}", zT.shape().str(), xemb.shape().str());
  const double guidance = plan.options().guidance;
  PreparedDenoiser conditional(denoiser, zT.size(0), xemb, plan.times());
  std::optional<PreparedDenoiser> free;
  if (guidance != 0.0 && unconditional.defined())
    free.emplace(denoiser, zT.size(0), unconditional, plan.times());
  const auto net = [&](std::int64_t i, const Tensor& z) {
    const Tensor predicted = conditional(i, z);
    return free ? sub(mul(predicted, 1.0 + guidance), mul((*free)(i, z), guidance)) : predicted;
  };
  return reverse_process(zT, plan, net, noise);
}

Tensor reverse_process(const Tensor& zT, const AncestralPlan& plan,
                       const std::function<Tensor(std::int64_t i, const Tensor& z)>& net, Generator* noise) {
  const Tensor z = zT.clone();
  Tensor before;  // DPM-Solver++(2M): the last step's z_hat
  for (std::size_t k = 0; k < plan.logsnrs().size(); ++k) {
    const Tensor predicted = net(static_cast<std::int64_t>(k), z);
    const ReverseStep step = step_of(plan, k);
    Generator* const drawn = step.noise > 0.0 ? noise : nullptr;
    if (plan.options().solver == Solver::dpm_solver_pp) {
      const Tensor z_hat = sub(mul(z, step.z_scale - step.eps_scale), mul(predicted, step.eps_scale));
      noisy_update(z, extrapolated(z_hat, before, plan.logsnrs(), k), {step.keep, step.pull, step.noise},
                   drawn);
      before = z_hat;
    } else {
      // Eq. (5), with z_hat and eps_hat = z_t + net written out:
      // z_s = keep z_t + pull (z_scale z_t - eps_scale (z_t + net)) + noise w
      const double pulled = step.pull * step.eps_scale;
      noisy_update(z, predicted, {step.keep + step.pull * step.z_scale - pulled, -pulled, step.noise}, drawn);
    }
  }
  return z;
}

}  // namespace damc
