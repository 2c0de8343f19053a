#include "tensor/cpu/amx.h"

#include <fmt/format.h>

#include <cstdio>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace damc {

#if defined(__x86_64__) && defined(__linux__)
bool processor_has_tiles() {
  std::uint32_t unused = 0, leaf1_ecx = 0, leaf7_edx = 0, low = 0, high = 0;
  if (!__get_cpuid(1, &unused, &unused, &leaf1_ecx, &unused)) return false;
  if (!__get_cpuid_count(7, 0, &unused, &unused, &unused, &leaf7_edx)) return false;
  if (!reports_tiles(leaf1_ecx, leaf7_edx, ~0ull)) return false;  // without OSXSAVE there is no xgetbv
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return reports_tiles(leaf1_ecx, leaf7_edx, std::uint64_t{high} << 32 | low);
}

bool request_tiles() {
  constexpr long request_permission = 0x1023,
                 tile_data = 18;  // ARCH_REQ_XCOMP_PERM, of Linux 5.16; bit of XCR0
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}
#else
bool processor_has_tiles() { return false; }
bool request_tiles() { return false; }
#endif

bool tiles_are_usable(bool has, bool (*request)(), bool (*agree)()) {
  if (!has) return false;
  const char* problem = !request() ? "the system refuses them"
                        : !agree() ? "they compute something else than kernels without them"
                                   : nullptr;
  if (problem)  // shown if that can be done, and no reason to fail
    std::fputs(fmt::format("This processor's AMX tiles are not used: {}\n", problem).c_str(), stderr);
  return !problem;
}

}  // namespace damc
