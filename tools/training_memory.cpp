#include "tools/training_memory.h"

#include <algorithm>

#include "damc/method.h"
#include "tensor/arena.h"
#include "tensor/cuda/launch.h"
#include "tensor/watch/counting_backend.h"

namespace damc {
namespace {

/// Shares memory out as a GPU does, to recorded steps too, and knows the most it has held.
class MeasuringBackend final : public CountingBackend {
 public:
  void* allocate(std::size_t bytes) override {
    out_ += bytes;
    most_out_ = std::max(most_out_, out_);
    return arenas_.in_use() ? arenas_.allocate(bytes) : obtain(bytes);
  }
  void release(void* block, std::size_t bytes) override {
    out_ -= bytes;
    if (!arenas_.release(block)) dispose(block, bytes);
  }
  std::size_t bytes_reserved() const override { return most_; }

  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias,
              const ProductOptions& options, const Tensor& out) override {
    hold_columns(ConvPass::forward, s, x, options.precision);
    CountingBackend::conv2d(s, x, filter, bias, options, out);
  }
  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Tensor& bias,
                     const ProductOptions& options, const Tensor& out) override {
    hold_columns(ConvPass::grad_x, s, out, options.precision);
    CountingBackend::conv2d_grad_x(s, g, filter, bias, options, out);
  }
  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, MatmulPrecision precision,
                     const Tensor& out) override {
    hold_columns(ConvPass::grad_w, s, x, precision);
    CountingBackend::conv2d_grad_w(s, g, x, precision, out);
  }
  std::unique_ptr<Recording> make_recording() override { return std::make_unique<Step>(*this); }

 private:
  class Step final : public Recording {
   public:
    explicit Step(MeasuringBackend& on)
        : on_(on),
          arena_(on.arenas_.of_steps({[&on](std::size_t bytes) { return on.obtain(bytes); },
                                      [&on](void* block, std::size_t bytes) { on.dispose(block, bytes); }})) {
    }
    void run(const Work& work) override {
      const std::size_t before = on_.most_out_ = on_.out_;
      work();
      arena_->expect(on_.most_out_ - before);
    }
    void record(const Work& work) override {
      arena_->prepare();
      const Arenas::Use use(on_.arenas_, arena_);
      work();
    }
    void replay() override {}

   private:
    MeasuringBackend& on_;
    std::shared_ptr<Arena> arena_;
  };

  /// Takes and returns what a convolution's columns take on a GPU, if it goes by them (cuda/columns.h).
  void hold_columns(ConvPass pass, const ConvGeometry& s, const Tensor& images, MatmulPrecision precision) {
    if (!conv_by_columns(pass, s, conv_types(images.dtype(), images.dtype(), precision))) return;
    const std::size_t bytes = columns_at_once(pass, s);
    release(allocate(bytes), bytes);
  }

  void* obtain(std::size_t bytes) {
    void* block = CountingBackend::allocate(bytes);
    most_ = std::max(most_, bytes_in_use());
    return block;
  }
  void dispose(void* block, std::size_t bytes) { CountingBackend::release(block, bytes); }

  Arenas arenas_;
  std::size_t out_ = 0, most_out_ = 0;  // handed out
  std::size_t most_ = 0;                // held by the pool and the arena
};

}  // namespace

std::size_t training_memory(Config config) {
  constexpr Device device{DeviceType::meta, 0};
  const BackendOverride measuring(device, std::make_unique<MeasuringBackend>());
  config.device = device.str();
  Model model(config);
  const auto batch = static_cast<std::size_t>(config.batch);
  Method method(model, 0, config.batch);
  const std::int64_t size = model.images.size;
  const Shape shape{config.batch, size, size, model.images.channels};
  // Two minibatches, as one is loaded beside the other.
  const Tensor x = Tensor::empty(shape, Dtype::f32, device), next = Tensor::empty(shape, Dtype::f32, device);
  for (int k = 0; k < kCallsUntilRecorded; ++k) {  // iterations in which all learn
    method.iterate((k + 1) * config.g_every - 1, {x, std::vector<std::int64_t>(batch, 0)});
  }
  return backend(device).bytes_reserved();
}

std::int64_t largest_batch(const Config& config, std::size_t bytes) {
  Config tried = config;
  std::int64_t fits = 0, too_large = config.batch;
  while (fits + 1 < too_large) {
    tried.batch = fits + (too_large - fits) / 2;
    (training_memory(tried) <= bytes ? fits : too_large) = tried.batch;
  }
  return fits;
}

}  // namespace damc
