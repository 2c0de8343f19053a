/// GPUs as cuDNN 9.8 and later know them without having them: by a description.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace damc {

/// What cuDNN wants to know of a device, in its JSON.
struct DeviceSizes {
  const char* name;
  int capability, processors, l2_bytes, shared_bytes, threads, blocks, clock_khz, memory_khz;
  std::int64_t memory;

  std::string json() const {
    return fmt::format(
        R"({{"cudaDeviceId": 0, "deviceName": "{}", "deviceVer": {}, "multiProcessorCount": {}, "l2CacheSize": {}, )"
        R"("maxSharedMemoryPerBlockOptin": {}, "maxThreadsPerSM": {}, "maxCtasPerSM": {}, "smClockRateKHz": {}, )"
        R"("memClockRateKHz": {}, "totalGlobalMem": {}, "driverVer": 13000, "isTccDriver": 0, "pciDeviceId": 0, )"
        R"("maxRegistersPerSM": 65536, "regsPerBlock": 65536, "maxSharedMemoryPerBlock": 49152, )"
        R"("reservedSharedMemoryPerBlock": 1024, "maxThreadsPerBlock": 1024, "maxBlockSize": [1024, 1024, 64], )"
        R"("maxGridSize": [2147483647, 65535, 65535], "supportCoopLaunch": 1, "warpSize": 32}})",
        name, capability, processors, l2_bytes, shared_bytes, threads, blocks, clock_khz, memory_khz, memory);
  }
};

inline constexpr DeviceSizes kH100{
    "NVIDIA H100 80GB HBM3", 900, 132, 52428800, 232448, 2048, 32, 1980000, 2619000, 85017493504};
inline constexpr DeviceSizes kA6000{"NVIDIA RTX A6000", 860, 84, 6291456, 101376, 1536, 16, 1800000, 8001000,
                                    51000000000};

}  // namespace damc
