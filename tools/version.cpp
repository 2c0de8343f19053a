#include "tools/version.h"

#include <fmt/format.h>

#include "commit.h"  // made by every build, see commit.cmake

namespace damc {

std::string version_text() {
#if defined(__clang__)
  constexpr const char* compiler = "Clang " __clang_version__;
#else
  constexpr const char* compiler = "GCC " __VERSION__;
#endif
  return fmt::format("damc {} (commit {})\ncompiler {}\nbuild    {}\nlibs     {}", DAMC_VERSION, DAMC_COMMIT,
                     compiler, DAMC_BUILD, DAMC_LIBRARIES);
}

}  // namespace damc
