/// Standard output and stderr, for what must not end when they cannot be written.
#pragma once

#include <cerrno>
#include <cstdio>
#include <string_view>

namespace damc {

/// Why not all of what was shown could be written (errno); 0: all could.
inline int& output_lost() {
  static int reason = 0;
  return reason;
}

inline void note_output(bool written) {
  if (!written && output_lost() == 0) output_lost() = errno;
}

/// Shows what was printed. What cannot be written is let be here, and told when the program ends (main.cpp).
inline void flush_output() { note_output(std::fflush(stdout) == 0); }

/// Shows a text at once, as above.
inline void show(std::string_view text) {
  note_output(std::fwrite(text.data(), 1, text.size(), stdout) == text.size());
  flush_output();
}

/// Shows a text on stderr, if that can be written.
inline void show_aside(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace damc
