/// Standard output, for commands whose work must not end with it.
#pragma once

#include <cstdio>
#include <string_view>

namespace damc {

/// Shows a text at once. What cannot be written is let be here, and told when the program ends (main.cpp).
inline void show(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace damc
