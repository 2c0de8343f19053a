#include "tensor/cpu/variants.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "tensor/error.h"

namespace damc {

// cpu_backend.cpp, once for each. Of their objects this function alone is seen: inline functions that others have too
// must not be taken from there.
#ifdef DAMC_DISPATCH
namespace baseline {
std::unique_ptr<Backend> make_cpu_kernels();
}
namespace x86_64_v3 {
std::unique_ptr<Backend> make_cpu_kernels();
}
namespace x86_64_v4 {
std::unique_ptr<Backend> make_cpu_kernels();
}
namespace x86_64_v4_bf16 {
std::unique_ptr<Backend> make_cpu_kernels();
}

std::span<const CpuVariant> cpu_variants() {
  static const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  static const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                         __builtin_cpu_supports("avx512vl");
  static const bool v4_bf16 = v4 && __builtin_cpu_supports("avx512bf16");
  static const CpuVariant variants[] = {{"baseline", true, baseline::make_cpu_kernels},
                                        {"x86-64-v3", v3, x86_64_v3::make_cpu_kernels},
                                        {"x86-64-v4", v4, x86_64_v4::make_cpu_kernels},
                                        {"x86-64-v4-bf16", v4_bf16, x86_64_v4_bf16::make_cpu_kernels}};
  return variants;
}
#else
namespace DAMC_CPU_VARIANT {
std::unique_ptr<Backend> make_cpu_kernels();
}

std::span<const CpuVariant> cpu_variants() {
#define DAMC_TEXT(name) #name
#define DAMC_NAME(name) DAMC_TEXT(name)
  static const CpuVariant variants[] = {
      {DAMC_NAME(DAMC_CPU_VARIANT), true, DAMC_CPU_VARIANT::make_cpu_kernels}};
  return variants;
}
#endif

const CpuVariant& chosen_cpu_variant() {
  const std::span<const CpuVariant> all = cpu_variants();
  std::vector<std::string_view> names;
  const CpuVariant* chosen = nullptr;
  const char* asked = std::getenv("DAMC_CPU_KERNELS");
  for (const CpuVariant& variant : all) {
    if (!variant.runs) continue;
    names.push_back(variant.name);
    if (!asked || variant.name == asked) chosen = &variant;
  }
  if (!chosen)
    user_error(fmt::format("DAMC_CPU_KERNELS={}: this processor and build have no such kernels", asked),
               fmt::format("there are {}; without the variable the last is taken", fmt::join(names, ", ")));
  return *chosen;
}

}  // namespace damc
