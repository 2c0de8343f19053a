/// A device that computes nothing and counts what it is asked to do: how many kernels, their multiply-adds, and
/// the bytes of their operands. The program's own code runs on it at full width in milliseconds, so that what is
/// counted is what a GPU would be given, not a second model of it.
///
/// Its memory does not exist: blocks are addresses that nobody follows, and whatever is copied back to the host
/// is zero, so that losses read from it are finite.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "tensor/backend.h"

namespace damc {

/// What some kernels have to do.
struct KernelWork {
  double flop = 0.0;   ///< two per multiply-add of products and convolutions (tools/bench/work.h)
  double bytes = 0.0;  ///< each kernel reads and writes every operand once; repeated elements count once
  std::int64_t launches = 0;  ///< calls of the backend's kernels, each at least one launch

  KernelWork& operator+=(const KernelWork& other) {
    flop += other.flop;
    bytes += other.bytes;
    launches += other.launches;
    return *this;
  }
};

class CountingBackend : public Backend {
 public:
  /// What was counted since the last call.
  KernelWork take() { return std::exchange(work_, {}); }

  void* allocate(std::size_t bytes) override;
  void release(void*, std::size_t bytes) override { in_use_ -= bytes; }
  void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) override;
  void synchronize() override {}
  std::size_t bytes_in_use() const override { return in_use_; }
  std::size_t bytes_reserved() const override { return in_use_; }

  void fill(double value, const Tensor& out) override;
  void copy(const Tensor& in, const Tensor& out) override;
  void unary(const Unary& f, const Tensor& x, const Tensor& out) override;
  void unary_vjp(const Unary& f, const Tensor& g, const Tensor& x, const Tensor& y,
                 const Tensor& out) override;
  void binary(BinaryOp f, const Tensor& a, const Tensor& b, const Tensor& out) override;
  void sum(const Tensor& x, const Tensor& out) override;
  void sum_squares(std::span<const Tensor> xs, const Tensor& out) override;
  void instance_norm_stats(const Tensor& x, double eps, const Tensor& mean, const Tensor& rstd) override;
  void instance_norm(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& w,
                     const Tensor& b, const Unary* activation, const Tensor& out) override;
  void instance_norm_sums(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                          const Tensor& sum_g, const Tensor& sum_gx) override;
  void instance_norm_grad_x(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                            const Tensor& w, const Tensor& sum_g, const Tensor& sum_gx,
                            const Tensor& out) override;
  void fourier_features(const Tensor& t, const Tensor& z, const Tensor& out) override;
  void fourier_features_vjp(const Tensor& g, const Tensor& y, const Tensor& out) override;
  void gated_sum(const Tensor& y, const Tensor& b, const Tensor& c, const Unary* activation,
                 const Tensor& out) override;
  void gemm(const Tensor& a, const Tensor& b, const Epilogue& epilogue, const Tensor& out) override;
  void conv2d(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Epilogue& epilogue,
              const Tensor& out) override;
  void conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Epilogue& epilogue,
                     const Tensor& out) override;
  void conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, const Tensor& out) override;
  void normal(const RandomSlice& slice, const Tensor& out) override;
  void uniform(const RandomSlice& slice, const Tensor& out) override;
  void advance(const Tensor& state, std::uint64_t blocks) override;
  void noisy_update(const Tensor& z, const Tensor& g, const UpdateScales& scales,
                    const RandomSlice* noise) override;
  void adam(std::span<const AdamTensors> tensors, const AdamStep& step) override;
  void adam_tick(const Tensor& schedule, double beta1, double beta2, const Tensor* watch) override;
  void watch(const Tensor& value, std::int64_t code, const Tensor& state) override;
  void lerp(std::span<const LerpTensors> tensors, double rate, const Tensor* watch) override;

 private:
  using Operands = std::vector<const Tensor*>;

  /// One kernel. Operands may be null: what a call does without.
  void count(const Operands& reads, const Operands& writes, std::int64_t macs = 0);

  KernelWork work_;
  std::uintptr_t next_ = 4096;  // address of the next block; never given out twice, so that operands that
                                // share memory can be told from others
  std::size_t in_use_ = 0;
};

/// The counting device in the place of cuda:0 while it lives. Tensors on it must be gone before.
class CountingDevice {
 public:
  static constexpr Device device{DeviceType::cuda, 0};

  CountingDevice() : CountingDevice(std::make_unique<CountingBackend>()) {}

  /// What was counted since the last call.
  KernelWork take() { return backend_.take(); }

 private:
  explicit CountingDevice(std::unique_ptr<CountingBackend> made)
      : backend_(*made), override_(device, std::move(made)) {}

  CountingBackend& backend_;
  BackendOverride override_;
};

}  // namespace damc
