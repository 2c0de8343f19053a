/// Where a tensor lives.
#pragma once

#include <string>

namespace damc {

enum class DeviceType { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;

  bool operator==(const Device&) const = default;

  /// "cpu", "cuda:0", ...
  std::string str() const;
};

/// Reads "cpu", "cuda" or "cuda:N". Throws UserError for anything else.
Device parse_device(const std::string& text);

}  // namespace damc
