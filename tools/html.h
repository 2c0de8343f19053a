/// Text from outside (names, files, configurations) in a page.
#pragma once

#include <string>
#include <string_view>

namespace damc {

/// Text as HTML: nothing in it is markup, and it stays on its line.
std::string shown(std::string_view text);
/// The same for a text of several lines.
std::string shown_lines(std::string_view text);

}  // namespace damc
