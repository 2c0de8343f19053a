/// A device made of host memory that the host cannot reach: what a GPU's memory is, on a machine without one.
///
/// Kernels are the CPU's. The device's memory is mapped without any access right; while one of its kernels or
/// copies runs, the pages of that call's operands are open. So code that reads or writes a device tensor on the
/// host dies with SIGSEGV, and so does a kernel that strays. A kernel refuses operands that are not on the
/// device. New blocks hold all ones (floating point: NaN), so what is read before it is written shows.
#pragma once

#include <map>
#include <vector>

#include "tensor/watch/intercepted_backend.h"

namespace damc {

class GuardedBackend final : public InterceptedBackend {
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
  void pin(const Tensor& weight) override { cpu_.pin(weight); }
  void unpin(const Tensor& weight) override { cpu_.unpin(weight); }

 private:
  class Access;

  bool contains(const void* address) const;
  /// Checks that all operands are on the device, then runs the CPU's kernel.
  void intercept(const KernelCall& call) override;

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
