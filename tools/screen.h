/// Standard output and stderr, for what must not end when they cannot be written.
#pragma once

#include <cstdio>
#include <string_view>

namespace damc {

/// Shows a text at once. What cannot be written is let be here, and told when the program ends (main.cpp).
inline void show(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// Shows a text on stderr, if that can be written.
inline void show_aside(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace damc
