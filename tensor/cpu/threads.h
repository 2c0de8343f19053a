/// Threads of the CPU's loops, and the memory of its products: OpenBLAS maps a buffer for every thread that multiplies,
/// and where the system refuses one it asks again without end. So it is asked for them at the start, after a try.
#pragma once

#include <cstddef>
#include <filesystem>

namespace damc {

/// OpenBLAS's buffer (BUFFER_SIZE in builds for several processors), in bytes.
inline constexpr std::size_t kBlasBuffer = std::size_t{128} << 20;

/// Whether the system would map `count` blocks of `bytes` each now. Needs no initialised library.
bool can_map(int count, std::size_t bytes);

/// Processors' worth of time that the control groups of this process leave it, rounded up; 0 for no limit. `root` is
/// where proc and sys are. Needs no initialised library.
int cpu_quota(const std::filesystem::path& root = "/");

/// Starts OpenMP's threads, no more than the quota unless a number was asked for, and takes OpenBLAS's buffers for all
/// of them. Throws Error where memory or threads do not suffice.
void start_threads();

}  // namespace damc
