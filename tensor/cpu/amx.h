/// Whether this processor and system have AMX's tiles (tiles.h). The kernels that use them are taken only where they give
/// what those without tiles do.
#pragma once

#include <cstdint>

namespace damc {

/// Whether there are tiles, products of bf16 by them, and a system that saves them: bits of CPUID leaf 1 (ECX: OSXSAVE) and
/// leaf 7 (EDX: AMX-BF16, AMX-TILE), and of XCR0, which is 0 where it cannot be read.
constexpr bool reports_tiles(std::uint32_t leaf1_ecx, std::uint32_t leaf7_edx, std::uint64_t xcr0) {
  constexpr std::uint32_t osxsave = 1u << 27, amx = 1u << 22 | 1u << 24;
  constexpr std::uint64_t configuration_and_data = 1u << 17 | 1u << 18;
  return (leaf1_ecx & osxsave) != 0 && (leaf7_edx & amx) == amx &&
         (xcr0 & configuration_and_data) == configuration_and_data;
}

/// reports_tiles of this processor.
bool processor_has_tiles();

/// Asks Linux, which saves tiles only for programs that want them, for this one and all its threads; whether it agrees.
bool request_tiles();

/// Whether the processor `has` tiles, the `request` for them is granted, and they `agree`, asked in this order. A line on
/// stderr says why tiles that are there are not used.
bool tiles_are_usable(bool has, bool (*request)(), bool (*agree)());

}  // namespace damc
