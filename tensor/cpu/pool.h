/// A pool of host memory: freed blocks are kept by size class and handed out again, so that a loop of fixed
/// shapes allocates nothing after its first round. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
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

  /// At least `bytes`, aligned to 64 bytes; null for 0. Throws Error when the system has no more,
  /// kept blocks of other sizes given back.
  void* allocate(std::size_t bytes);
  void release(void* block, std::size_t bytes);

  std::size_t bytes_in_use() const;
  /// Everything taken from the system, in use or kept.
  std::size_t bytes_reserved() const;

 private:
  /// Returns the kept blocks to the system.
  void give_back();

  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::size_t in_use_ = 0;
  std::size_t reserved_ = 0;
};

/// Uninitialised working memory of one kernel call.
template <class T>
class Scratch {
 public:
  Scratch(HostPool& pool, std::int64_t count)
      : pool_(pool), bytes_(static_cast<std::size_t>(count) * sizeof(T)) {
    data_ = pool_.allocate(bytes_);
  }
  ~Scratch() { pool_.release(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return static_cast<T*>(data_); }

 private:
  HostPool& pool_;
  std::size_t bytes_;
  void* data_;
};

}  // namespace damc
