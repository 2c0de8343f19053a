/// A device made of host memory that the host cannot reach: what a GPU's memory is, on a machine without one.
///
/// Kernels are the CPU's. The device's memory is mapped without any access right; while one of its kernels or
/// copies runs, the pages of that call's operands are open. So code that reads or writes a device tensor on the
/// host dies with SIGSEGV, and so does a kernel that strays. A kernel refuses operands that are not on the
/// device. New blocks hold all ones (floating point: NaN), so what is read before it is written shows.
#pragma once

#include <map>
#include <vector>

#include "tensor/backend.h"

namespace damc {

class GuardedBackend final : public Backend {
 public:
  /// Throws Error when the system refuses the address space.
  GuardedBackend();
  ~GuardedBackend() override;

  /// Throws Error when the device is full.
  void* allocate(std::size_t bytes) override;
  void release(void* block, std::size_t bytes) override;
  /// Throws Error unless exactly the device's side of the copy lies on the device.
  void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) override;
  std::size_t bytes_in_use() const override { return in_use_; }
  std::size_t bytes_reserved() const override { return used_; }

  void synchronize() override {}
  // Passed on, so that both devices compute the same bits; the CPU reads a weight inside a kernel only.
  void hold(const Tensor& weight) override { cpu_.hold(weight); }
  void release(const Tensor& weight) override { cpu_.release(weight); }

  // Every kernel: checks that all operands are on the device, then runs the CPU's kernel.
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
  class Access;

  bool contains(const void* address) const;
  template <class Call>
  void run(const char* kernel, const std::vector<const Tensor*>& operands, const Call& call);

  Backend& cpu_;
  std::byte* memory_;
  std::size_t used_ = 0;  // bytes of memory_ that were ever handed out
  std::size_t in_use_ = 0;
  std::map<std::size_t, std::vector<void*>> free_;   // released blocks by size
  int running_ = 0;                                  // calls; a kernel may run another
  std::vector<std::pair<void*, std::size_t>> open_;  // pages that they may touch
};

/// The fake device in the place of cuda:0 while it lives. Tensors on it must be gone before.
class GuardedDevice {
 public:
  static constexpr Device device{DeviceType::cuda, 0};

  GuardedDevice() : override_(device, std::make_unique<GuardedBackend>()) {}

 private:
  BackendOverride override_;
};

}  // namespace damc
