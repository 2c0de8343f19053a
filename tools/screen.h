/// Standard output and stderr, for what must not end when they cannot be written.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace damc {

/// Shows a text at once. What cannot be written is let be here, and told when the program ends (main.cpp).
inline void show(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// Shows a text on stderr, if that can be written.
inline void show_aside(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

/// A word of a command that a reader may copy into a shell.
inline std::string shell_word(const std::string& text) {
  constexpr std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+-=,:@%";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace damc
