/// One GPU's stream and memory: a stream-ordered pool that keeps what it has freed, copies in stream order, and
/// the memory of captured steps.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/arena.h"
#include "tensor/backend.h"

namespace damc {

class CudaMemory {
 public:
  /// Opens device `index`. Throws UserError when the machine has no such device.
  explicit CudaMemory(int index);
  ~CudaMemory();
  CudaMemory(const CudaMemory&) = delete;
  CudaMemory& operator=(const CudaMemory&) = delete;

  /// Makes this the calling thread's device, as launches and library calls need it; every entry into the backend
  /// comes by here, so that a process may use several devices.
  void use_device() const;

  int index() const { return index_; }
  cudaStream_t stream() const { return stream_; }
  int processors() const { return processors_; }

  /// From the arena in use, else from the pool. Throws OutOfMemory when the device has no more.
  void* allocate(std::size_t bytes);
  void release(void* block, std::size_t bytes);
  /// Does the work. Returns the most bytes that it had in use at once.
  std::size_t peak_of(const std::function<void()>& work);
  /// Waits for the device and returns what the pool keeps but nobody uses: others may take it, arenas too.
  void trim();
  /// The arena of captured steps, whose memory is returned after the last of them is gone.
  std::shared_ptr<Arena> arena_of_steps();
  Arenas& arenas() { return arenas_; }
  /// Host memory may be reused as soon as this returns.
  void copy(void* to, const void* from, std::size_t bytes, CopyKind kind);
  void synchronize();

  std::size_t bytes_in_use() const { return in_use_; }
  std::size_t bytes_reserved() const;

 private:
  std::uint64_t pool_bytes(cudaMemPoolAttr which) const;
  [[noreturn]] void out_of_memory(std::size_t asked) const;
  void give_back_late();

  int index_;
  int processors_ = 0;
  cudaStream_t stream_ = nullptr;
  cudaMemPool_t pool_ = nullptr;
  std::size_t in_use_ = 0, most_in_use_ = 0;
  std::size_t arena_bytes_ = 0;
  std::size_t most_reserved_ = 0;  // as last noted, with arenas that are gone by now
  std::vector<void*> late_;        // of the pool, released while a step was recorded
  Arenas arenas_;
};

/// A block of device memory while this lives, in stream order: what is queued before it goes may still use it.
class CudaBlock {
 public:
  CudaBlock(CudaMemory& memory, std::size_t bytes)
      : memory_(memory), bytes_(bytes), data_(memory.allocate(bytes)) {}
  ~CudaBlock() { memory_.release(data_, bytes_); }
  CudaBlock(const CudaBlock&) = delete;
  CudaBlock& operator=(const CudaBlock&) = delete;
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  CudaMemory& memory_;
  std::size_t bytes_;
  void* data_;
};

}  // namespace damc
