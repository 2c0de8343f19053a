#include "tensor/cpu/variants.h"

#include <fmt/ranges.h>

#include <cstdlib>
#include <vector>

#include "tensor/cpu/amx.h"
#include "tensor/error.h"

namespace damc {

// cpu_backend.cpp, once for each. Of their objects these functions alone are seen: inline functions that others have too
// must not be taken from there.
#define DAMC_VARIANT(name)                       \
  namespace name {                               \
  std::unique_ptr<Backend> make_cpu_kernels();   \
  bool tiles_compute(); /* if it is for tiles */ \
  }
#define DAMC_TEXT(name) #name
#define DAMC_NAME(name) DAMC_TEXT(name)

namespace {

bool anywhere() { return true; }

/// `tiles_compute` is of the kernels compiled for tiles.
template <bool (*tiles_compute)()>
bool tiles_run() {
  static const bool usable = tiles_are_usable(processor_has_tiles(), request_tiles, tiles_compute);
  return usable;
}

}  // namespace

#ifdef DAMC_DISPATCH
DAMC_VARIANT(baseline)
DAMC_VARIANT(x86_64_v3)
DAMC_VARIANT(x86_64_v4)
DAMC_VARIANT(x86_64_v4_bf16)
DAMC_VARIANT(x86_64_v4_amx)

namespace {

bool has_v3() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}
bool has_v4() {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
bool has_v4_bf16() { return has_v4() && __builtin_cpu_supports("avx512bf16"); }
bool has_v4_amx() { return has_v4_bf16() && tiles_run<x86_64_v4_amx::tiles_compute>(); }

}  // namespace

std::span<const CpuVariant> cpu_variants() {
  static const CpuVariant variants[] = {{"baseline", anywhere, baseline::make_cpu_kernels},
                                        {"x86-64-v3", has_v3, x86_64_v3::make_cpu_kernels},
                                        {"x86-64-v4", has_v4, x86_64_v4::make_cpu_kernels},
                                        {"x86-64-v4-bf16", has_v4_bf16, x86_64_v4_bf16::make_cpu_kernels},
                                        {"x86-64-v4-amx", has_v4_amx, x86_64_v4_amx::make_cpu_kernels}};
  return variants;
}
#else
DAMC_VARIANT(DAMC_CPU_VARIANT)
#ifdef DAMC_NATIVE_AMX
DAMC_VARIANT(native_amx)
#endif

std::span<const CpuVariant> cpu_variants() {
  static const CpuVariant variants[] = {
      {DAMC_NAME(DAMC_CPU_VARIANT), anywhere, DAMC_CPU_VARIANT::make_cpu_kernels},
#ifdef DAMC_NATIVE_AMX
      {"native-amx", tiles_run<native_amx::tiles_compute>, native_amx::make_cpu_kernels},
#endif
  };
  return variants;
}
#endif

const CpuVariant& chosen_cpu_variant() {
  const std::span<const CpuVariant> all = cpu_variants();
  const char* asked = std::getenv("DAMC_CPU_KERNELS");
  for (auto variant = all.rbegin(); variant != all.rend(); ++variant) {
    if ((!asked || variant->name == asked) && variant->runs()) return *variant;
  }
  std::vector<std::string_view> names;
  for (const CpuVariant& variant : all) {
    if (variant.runs()) names.push_back(variant.name);
  }
  user_error(fmt::format("DAMC_CPU_KERNELS={}: this processor and build have no such kernels", asked),
             fmt::format("there are {}; without the variable the last is taken", fmt::join(names, ", ")));
}

}  // namespace damc
