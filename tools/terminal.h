/// What is known of the screen that standard output leads to, and text that fits it.
#pragma once

#include <string>
#include <string_view>

namespace damc {

/// Whether standard output is a terminal that a line may be rewritten on: neither dumb, nor asked to be plain (NO_COLOR).
bool rewritable_terminal();

/// Columns of the terminal; those of COLUMNS where there is none, else 80.
int terminal_columns();

/// Columns that a text of one line takes: two for wide characters, none for marks that combine.
int columns_of(std::string_view text);

/// The beginning of a line that fits into so many columns. No character is cut in two.
std::string_view cut_to(std::string_view line, int columns);

/// A text with its long lines broken between words. What follows stands below the last column of a table ("name   what
/// it is"), or is indented a little more than the line.
std::string wrapped(std::string_view text, int columns);

}  // namespace damc
