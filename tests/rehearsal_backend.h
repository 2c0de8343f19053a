/// Recording on a machine without a GPU: a device that records kernels and replays them, and proves at every
/// replay that the step would issue the same work again.
///
/// Memory and kernels are those of the guarded device (guarded_backend.h): the host cannot touch its memory.
/// Recording notes every kernel with its operands (address, shape, strides, type) and its numbers, and every
/// block of memory that is taken or given back, and runs nothing, as a CUDA graph does. A replay first has the
/// step issue its work once more without running it and compares that with the notes, call by call: memory of
/// the step's own by the order in which it was taken, all other memory by its address. Whatever differs is an
/// Error that says where; so is a copy between host and device. Then it runs the notes. Before a block of the
/// step's own is used, it is filled with NaN: a replay cannot live on what the one before left. Filters that meet bf16
/// images are rounded as a GPU rounds them (rounded_filters.h).
#pragma once

#include "tensor/arena.h"
#include "tensor/rounded_filters.h"
#include "tensor/watch/intercepted_backend.h"

namespace damc {

class RehearsalBackend final : public InterceptedBackend {
 public:
  RehearsalBackend();

  /// Replays of all recordings so far, and the kernels that these ran.
  std::int64_t replays() const { return replays_; }
  std::int64_t replayed_kernels() const { return replayed_kernels_; }

  void* allocate(std::size_t bytes) override;
  void release(void* block, std::size_t bytes) override;
  void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) override;
  void synchronize() override;
  void pin(const Tensor& weight) override;
  void unpin(const Tensor& weight) override;
  std::size_t bytes_in_use() const override { return inner_->bytes_in_use(); }
  std::size_t bytes_reserved() const override { return inner_->bytes_reserved(); }
  std::unique_ptr<Recording> make_recording() override;

  // A GPU rounds the filters that meet bf16 images.
  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias,
              const ProductOptions& options, const Tensor& out) override {
    InterceptedBackend::conv2d(s, x, rounded(filter, x.dtype()), bias, options, out);
  }
  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Tensor& bias,
                     const ProductOptions& options, const Tensor& out) override {
    InterceptedBackend::conv2d_grad_x(s, g, rounded(filter, g.dtype()), bias, options, out);
  }

 private:
  class Run;
  class Rehearsal;

  /// Runs the kernel; while a step is recorded or rehearsed, notes or compares it.
  void intercept(const KernelCall& call) override;
  /// What the filter is to images of this type, by way of what a GPU keeps of a pinned one; as the CPU's kernels take it.
  Tensor rounded(const Tensor& filter, Dtype images);
  /// Fills a block with NaN.
  void poison(void* block, std::size_t bytes);

  std::unique_ptr<Backend> inner_;
  Arenas arenas_;
  RoundedFilters rounded_{arenas_};
  Run* run_ = nullptr;  // of the step that is being recorded or rehearsed
  std::int64_t replays_ = 0, replayed_kernels_ = 0;
};

/// The rehearsing device in the place of cuda:0 while it lives. Tensors and steps on it must be gone before.
class RehearsalDevice {
 public:
  static constexpr Device device{DeviceType::cuda, 0};

  RehearsalDevice() : RehearsalDevice(std::make_unique<RehearsalBackend>()) {}

  const RehearsalBackend& operator*() const { return backend_; }
  const RehearsalBackend* operator->() const { return &backend_; }

 private:
  explicit RehearsalDevice(std::unique_ptr<RehearsalBackend> made)
      : backend_(*made), override_(device, std::move(made)) {}

  RehearsalBackend& backend_;
  BackendOverride override_;
};

}  // namespace damc
