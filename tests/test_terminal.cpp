/// Text that fits its screen: columns of characters, lines cut and wrapped.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "tools/terminal.h"

using namespace damc;

TEST_CASE("a character takes the columns that a terminal gives it, and is never cut in two") {
  CHECK(columns_of("plain") == 5);
  CHECK(columns_of("größe") == 5);
  CHECK(columns_of("日本語") == 6);
  CHECK(columns_of("e\xcc\x81") == 1);         // e and a combining accent
  CHECK(columns_of("\xf0\x9f\x99\x82") == 2);  // a face
  CHECK(cut_to("日本語x", 7) == "日本語x");
  CHECK(cut_to("日本語x", 5) == "日本");
  CHECK(cut_to("日本語x", 1).empty());
  CHECK(cut_to("größe", 3) == "grö");
  CHECK(cut_to("e\xcc\x81x", 1) == "e\xcc\x81");
  CHECK(cut_to("abc", 0).empty());
}

TEST_CASE("long lines are broken between words, under the column that they belong to") {
  CHECK(wrapped("short\n\n  lines\n", 80) == "short\n\n  lines\n");
  CHECK(wrapped("  --flag    one two three four five six seven eight", 40) ==
        "  --flag    one two three four five six\n            seven eight");
  CHECK(wrapped("  --a-rather-long-flag    one two three four", 40) ==
        "  --a-rather-long-flag\n      one two three four");
  CHECK(wrapped("one two three four five six seven eight nine", 40) ==
        "one two three four five six seven eight\n  nine");
  for (const int columns : {1, 32, 33, 47, 80}) {
    const std::string text =
        wrapped("  --x  " + std::string(150, 'y') + " 日本語日本語日本語日本語日本語", columns);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) CHECK(columns_of(line) <= std::max(columns, 32));
  }
}
