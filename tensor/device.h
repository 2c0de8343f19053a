/// Where a tensor lives.
#pragma once

#include <string>

namespace damc {

/// The meta device has no memory and computes nothing: a program runs on it to find out what it would ask of another
/// (tensor/watch/counting_backend.h).
enum class DeviceType { cpu, cuda, meta };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;

  bool operator==(const Device&) const = default;

  /// "cpu", "cuda:0", ..., "meta"
  std::string str() const;
};

/// Reads "cpu", "cuda", "cuda:N" or "meta". Throws UserError for anything else.
Device parse_device(const std::string& text);

}  // namespace damc
