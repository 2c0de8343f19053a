#include "tools/shell_word.h"

#include <string_view>

#include "tensor/text.h"

namespace damc {
namespace {

/// `text` with a backslash before each of these characters.
std::string with_backslashes(const std::string& text, std::string_view characters) {
  std::string out;
  for (const char c : text) {
    if (characters.find(c) != characters.npos) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string shell_word(const std::string& text) {
  constexpr std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+-=,:@%";
  if (!text.empty() && text.find_first_not_of(plain) == text.npos) return text;
  if (escaped(text) != text) return "$'" + escaped(with_backslashes(text, "\\'")) + "'";
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string shell_path(const std::string& path) {
  return shell_word(path.starts_with('-') ? "./" + path : path);
}

}  // namespace damc
