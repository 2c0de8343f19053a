/// Commands that a reader may copy into a shell.
#pragma once

#include <string>

namespace damc {

/// A text as a word of a command, on one line whatever it holds.
std::string shell_word(const std::string& text);

/// A path as such a word, which no program takes for an option.
std::string shell_path(const std::string& path);

}  // namespace damc
