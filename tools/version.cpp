#include "tools/version.h"

#include <fmt/format.h>

#include "commit.h"  // made by every build, see commit.cmake
#include "tensor/cpu/variants.h"

namespace damc {

std::string version_text() {
#if defined(__clang__)
  constexpr const char* compiler = "Clang " __clang_version__;
#else
  constexpr const char* compiler = "GCC " __VERSION__;
#endif
  return fmt::format("damc {} (commit {})\ncompiler {}\nbuild    {}\nkernels  {}\nlibs     {}", DAMC_VERSION,
                     DAMC_COMMIT, compiler, DAMC_BUILD, chosen_cpu_variant().name, DAMC_LIBRARIES);
}

}  // namespace damc
