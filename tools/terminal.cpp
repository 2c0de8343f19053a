#include "tools/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "tensor/text.h"

namespace damc {
namespace {

struct Range {
  std::uint32_t first, last;
};
constexpr Range kCombining[] = {{0x300, 0x36f}, {0x200b, 0x200f}, {0x20d0, 0x20f0}, {0xfe00, 0xfe0f}};
constexpr Range kWide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xac00, 0xd7a3},
                           {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
                           {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

/// Columns of one character of UTF-8; a stray byte takes one.
int width_of(std::string_view character) {
  std::uint32_t code = static_cast<std::uint8_t>(character[0]);
  if (character.size() > 1) code &= 0x7fu >> character.size();
  for (const char c : character.substr(1)) code = code << 6 | (static_cast<std::uint8_t>(c) & 0x3fu);
  const auto holds = [code](const Range& range) { return range.first <= code && code <= range.last; };
  if (std::ranges::any_of(kCombining, holds)) return 0;
  return std::ranges::any_of(kWide, holds) ? 2 : 1;
}

/// Bytes of the longest beginning of `line` that fits into `columns`, and the columns that it takes.
std::pair<std::size_t, int> fitting(std::string_view line, int columns) {
  std::size_t bytes = 0;
  int taken = 0;
  while (bytes < line.size()) {
    const std::size_t length = std::max<std::size_t>(utf8_length(line.substr(bytes)), 1);
    const int width = width_of(line.substr(bytes, length));
    if (taken + width > columns) break;
    taken += width;
    bytes += length;
  }
  return {bytes, taken};
}

/// Where the last column of a line begins, and where the gap before it: after two spaces or more, in the left half.
std::pair<std::size_t, std::size_t> last_column(std::string_view line) {
  std::size_t text = line.find_first_not_of(' '), gap = 0;
  for (std::size_t at = line.find("  ", text); at < 50; at = line.find("  ", text)) {
    const std::size_t next = line.find_first_not_of(' ', at);
    if (next == line.npos || next > 50) break;
    gap = at;
    text = next;
  }
  return {text, gap};
}

void wrap_line(std::string_view line, std::size_t columns, std::string& out) {
  constexpr std::size_t least = 24;  // columns for a text beside others
  const auto [text, gap] = last_column(line);
  std::size_t room = columns, indent = text + (gap || text > 8 ? 0 : 2);
  if (gap && text + least > columns) {  // too narrow for two columns: the second goes below the first
    wrap_line(line.substr(0, gap), columns, out);
    out += '\n';
  }
  if (text + least > columns) {
    line.remove_prefix(text);
    indent = 6;
    out.append(indent, ' ');
    room -= indent;
  }
  while (true) {
    const std::size_t bytes = fitting(line, static_cast<int>(room)).first;
    if (bytes == line.size()) break;
    const std::size_t space = line.rfind(' ', bytes), word = line.find_first_not_of(' ');
    const std::size_t end = space != line.npos && space > word ? space : bytes;  // a word too long is cut
    out += line.substr(0, end);
    out += '\n';
    out.append(indent, ' ');
    line.remove_prefix(std::min(line.find_first_not_of(' ', end), line.size()));
    room = columns - indent;
  }
  out += line;
}

}  // namespace

bool rewritable_terminal() {
  const char* term = std::getenv("TERM");
  const char* plain = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) && term && *term && std::string_view(term) != "dumb" && !(plain && *plain);
}

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  int columns = 0;
  if (const char* given = std::getenv("COLUMNS"))
    std::from_chars(given, given + std::string_view(given).size(), columns);
  return columns > 0 ? columns : 80;
}

int columns_of(std::string_view text) { return fitting(text, 1 << 30).second; }

std::string_view cut_to(std::string_view line, int columns) {
  return line.substr(0, fitting(line, columns).first);
}

std::string wrapped(std::string_view text, int columns) {
  const auto room = static_cast<std::size_t>(std::max(columns, 32));
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (line.find_first_not_of(' ') != line.npos) wrap_line(line, room, out);
    if (end < text.size()) out += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace damc
