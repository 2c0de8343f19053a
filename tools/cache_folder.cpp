#include "tools/cache_folder.h"

#include <cstdlib>

namespace damc {

std::filesystem::path cache_folder() {
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (cache && *cache) return std::filesystem::path(cache) / "damc";
  if (home && *home) return std::filesystem::path(home) / ".cache" / "damc";
  return {};
}

}  // namespace damc
