/// Text from outside, as it may be shown.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tensor/text.h"

using namespace damc;

TEST_CASE("what could harm a line or a terminal is escaped, nothing else") {
  const struct {
    std::string text, shown;
  } cases[] = {
      {"", ""},
      {"plain/file 1.png", "plain/file 1.png"},
      {"a\nb\tc\rd", "a\\nb\\tc\\rd"},
      {"\x1b[2J", "\\x1b[2J"},
      {std::string("\0", 1) + "\x7f\a", "\\x00\\x7f\\x07"},
      {"größe \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x99\x82", "größe \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x99\x82"},
      {"\xc2\x85|\xc2\x9b|\xc2\xa0", "\\xc2\\x85|\\xc2\\x9b|\xc2\xa0"},  // C1 controls; a hard space is none
      {"\xe2\x80\xa8|\xe2\x80\xae|\xe2\x81\xa6", "\\xe2\\x80\\xa8|\\xe2\\x80\\xae|\\xe2\\x81\\xa6"},
      {"f\xfcr", "f\\xfcr"},                                    // Latin-1
      {"\xc3", "\\xc3"},                                        // cut off
      {"\xe6\x97", "\\xe6\\x97"},                               // cut off
      {"\xc3(", "\\xc3("},                                      // no continuation
      {"\xc0\xaf|\xe0\x80\xaf", "\\xc0\\xaf|\\xe0\\x80\\xaf"},  // longer than need be
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                      // half of a UTF-16 pair
      {"\xf4\x90\x80\x80|\xf5\x80\x80\x80", "\\xf4\\x90\\x80\\x80|\\xf5\\x80\\x80\\x80"},  // beyond Unicode
  };
  for (const auto& [text, shown] : cases) CHECK(escaped(text) == shown);
}

TEST_CASE("a mistyped word finds its neighbour, a foreign one none") {
  const std::vector<std::string> names = {"train", "sample", "eval", "toy", "data", "mnist-quick"};
  const struct {
    std::string word, meant;
  } cases[] = {{"trian", "train"}, {"Train", "train"}, {"smaple", "sample"},
               {"ev", ""},         {"evla", "eval"},   {"tyo", "toy"},
               {"frobnicate", ""}, {"mnist", ""},      {"mnist_quick", "mnist-quick"},
               {"", ""},           {"dat", "data"},    {"TOY", "toy"}};
  for (const auto& one : cases) {
    CAPTURE(one.word);
    CHECK(did_you_mean(one.word, names) == (one.meant.empty() ? "" : "did you mean '" + one.meant + "'? "));
  }
}
