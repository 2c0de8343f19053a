/// A block of a device's memory, returned to the backend's pool when the last tensor that uses it goes.
#pragma once

#include <cstddef>

#include "tensor/device.h"

namespace damc {

class Storage {
 public:
  /// Uninitialised bytes on `device`. Throws Error when out of memory.
  Storage(std::size_t bytes, Device device);
  /// Memory that someone else owns and that outlives this.
  Storage(void* data, std::size_t bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  std::size_t bytes_;
  Device device_;
  bool owned_;
  void* data_;
};

}  // namespace damc
