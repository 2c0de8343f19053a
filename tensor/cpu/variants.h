/// The CPU's kernels for several processors. A build for one processor (DAMC_NATIVE) has one variant, and another if there
/// are AMX's tiles; a portable one of x86-64 has cpu_backend.cpp compiled for each of its levels and once more with
/// AVX512-BF16 and with tiles, and the program takes what its processor runs.
///
/// Compilers fuse multiply-adds, which then round once, as each processor allows: variants agree within rounding, how
/// nearly is in tests/test_cpu_variants.cpp.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "tensor/backend.h"

namespace damc {

struct CpuVariant {
  /// "native", "baseline" or the microarchitecture level, as compilers name it; "-bf16" with AVX512-BF16, "-amx" with that
  /// and AMX's tiles
  std::string_view name;
  bool (*runs)();  ///< on this processor; of tiles also whether they compute what they should (amx.h)
  std::unique_ptr<Backend> (*make)();
};

/// From the plainest to the fastest.
std::span<const CpuVariant> cpu_variants();

/// The last that runs here, or the one that DAMC_CPU_KERNELS names. Throws UserError when there is none of that name or
/// it does not run here.
const CpuVariant& chosen_cpu_variant();

}  // namespace damc
