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

#include "tensor/watch/intercepted_backend.h"

namespace damc {

/// What some kernels have to do.
struct KernelWork {
  double flop = 0.0;  ///< two per multiply-add of products and convolutions as ConvGeometry::macs counts them
  double bytes = 0.0;  ///< each kernel reads and writes every operand once; repeated elements count once
  std::int64_t launches = 0;  ///< calls of the backend's kernels, each at least one launch

  KernelWork& operator+=(const KernelWork& other) {
    flop += other.flop;
    bytes += other.bytes;
    launches += other.launches;
    return *this;
  }
};

class CountingBackend : public InterceptedBackend {
 public:
  /// What was counted since the last call.
  KernelWork take() { return std::exchange(work_, {}); }

  void* allocate(std::size_t bytes) override;
  void release(void*, std::size_t bytes) override { in_use_ -= bytes; }
  void copy_bytes(void* to, const void* from, std::size_t bytes, CopyKind kind) override;
  void synchronize() override {}
  std::size_t bytes_in_use() const override { return in_use_; }
  std::size_t bytes_reserved() const override { return in_use_; }

 private:
  void intercept(const KernelCall& call) override;

  KernelWork work_;
  std::uintptr_t next_ = 4096;  // address of the next block; never given out twice, so that operands that
                                // share memory can be told from others
  std::size_t in_use_ = 0;
};

/// The meta device, counting, while this lives. Tensors on it must be gone before.
class CountingDevice {
 public:
  static constexpr Device device{DeviceType::meta, 0};

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
