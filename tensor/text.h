/// Text from outside (names of files, metadata, arguments) as it may be shown: one line, and nothing that a terminal
/// would obey.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace damc {

/// `text` on one line: control characters, line separators, changes of the writing direction and bytes that are not
/// UTF-8 become \n, \t, \r or \xNN. All else stays as it is, other alphabets included.
std::string escaped(std::string_view text);

/// `text` in quotes, escaped and of bounded length: a name from a file as it may appear in a message.
std::string in_quotes(std::string_view text);

/// The length in bytes of the character that `text` (not empty) begins with; 0 when it is not valid UTF-8.
std::size_t utf8_length(std::string_view text);

/// "did you mean 'train'? " for a mistyped 'trian'; "" when no candidate is near. Case does not count.
std::string did_you_mean(const std::string& word, std::span<const std::string> candidates);

}  // namespace damc
