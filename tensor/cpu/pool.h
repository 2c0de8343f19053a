/// A pool of host memory: freed blocks are kept by size class and handed out again, so that a loop of fixed
/// shapes allocates nothing after its first round. Thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace damc {

class HostPool {
 public:
  HostPool() = default;
  ~HostPool();
  HostPool(const HostPool&) = delete;
  HostPool& operator=(const HostPool&) = delete;

  /// At least `bytes`, aligned to 64 bytes; null for 0. Throws Error when the system has no more.
  void* allocate(std::size_t bytes);
  void release(void* block, std::size_t bytes);

  std::size_t bytes_in_use() const;
  /// Everything taken from the system, in use or kept.
  std::size_t bytes_reserved() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::size_t in_use_ = 0;
  std::size_t reserved_ = 0;
};

}  // namespace damc
