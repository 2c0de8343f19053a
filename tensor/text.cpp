#include "tensor/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace damc {
namespace {

std::uint8_t byte(char c) { return static_cast<std::uint8_t>(c); }

/// The code point of a whole, valid UTF-8 character.
std::uint32_t decode(std::string_view character) {
  if (character.size() == 1) return byte(character[0]);
  std::uint32_t code = byte(character[0]) & (0x7fu >> character.size());
  for (const char c : character.substr(1)) code = code << 6 | (byte(c) & 0x3fu);
  return code;
}

/// Characters that end a line, steer a terminal or turn the order of what follows.
bool is_control(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
         (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Edits (insertions, deletions, replacements, neighbours swapped) between two words.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, last, row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({last[j - 1] + !same, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1])) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row.back();
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  const std::uint8_t first = byte(text[0]);
  const std::size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (length == 0 || first > 0xf4 || length > text.size()) return 0;
  for (const char c : text.substr(1, length - 1)) {
    if ((byte(c) & 0xc0) != 0x80) return 0;
  }
  const std::uint32_t code = decode(text.substr(0, length));
  // No longer form than need be, no halves of UTF-16 pairs, nothing beyond the last plane.
  const bool valid = length < 3 || (length == 3 ? code >= 0x800 && (code < 0xd800 || code > 0xdfff)
                                                : code >= 0x10000 && code <= 0x10ffff);
  return valid ? length : 0;
}

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
    text.remove_prefix(character.size());
    if (length > 0 && !is_control(decode(character))) {
      out += character;
    } else if (character == "\n" || character == "\t" || character == "\r") {
      out += character == "\n" ? "\\n" : character == "\t" ? "\\t" : "\\r";
    } else {
      for (const char c : character) out += fmt::format("\\x{:02x}", byte(c));
    }
  }
  return out;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 100;
  return fmt::format("\"{}\"{}", escaped(text.substr(0, longest)), text.size() > longest ? "..." : "");
}

std::string did_you_mean(const std::string& word, std::span<const std::string> candidates) {
  const std::string* nearest = nullptr;
  std::size_t least = word.size() < 4 ? 2 : word.size() / 3 + 2;  // as many edits as this are another word
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= least || distance >= candidate.size()) continue;
    least = distance;
    nearest = &candidate;
  }
  return nearest ? fmt::format("did you mean '{}'? ", *nearest) : std::string();
}

}  // namespace damc
