/// LMDB databases: what the library writes, and what nobody should.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "data/lmdb.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tests/lmdb_writer.h"
#include "tests/messages.h"

using namespace damc;
namespace fs = std::filesystem;

namespace {

struct TempFolder {
  fs::path path = fs::temp_directory_path() / ("damc-test-lmdb-" + std::to_string(::getpid()));
  TempFolder() { fs::create_directories(path); }
  ~TempFolder() { fs::remove_all(path); }
};

std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Values of many sizes: in the leaves, and in pages of their own.
std::vector<KeyValue> some_pairs(int n) {
  std::mt19937 random(7);
  std::vector<KeyValue> pairs;
  for (int i = 0; i < n; ++i) {
    std::string value(random() % (i % 5 == 0 ? 20000 : 300), '\0');
    for (char& c : value) c = static_cast<char>(random());
    pairs.push_back({fmt::format("{:08x}-{}", random(), std::string(random() % 30, 'k')), value});
  }
  return pairs;
}

std::string refusal(const fs::path& file) {
  return error_of<UserError>([&] {
    const Lmdb lmdb(file);
    for (std::int64_t i = 0; i < lmdb.size(); ++i) lmdb.value(i);
  });
}

void write(const fs::path& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

TEST_CASE("lmdb: every key and value that the library wrote, in its order") {
  for (const int n : {0, 1, 30, 3000}) {
    CAPTURE(n);
    const TempFolder temp;
    std::vector<KeyValue> pairs = some_pairs(n);
    write_lmdb(temp.path, pairs);
    if (n > 1) {  // a second transaction leaves pages behind that are no longer part of the tree
      write_lmdb(temp.path, {{pairs[0].key, "another value"}, {"zzz", std::string(5000, 'z')}});
      pairs[0].value = "another value";
      pairs.push_back({"zzz", std::string(5000, 'z')});
    }
    std::ranges::sort(pairs, {}, &KeyValue::key);
    const Lmdb lmdb(temp.path / "data.mdb");
    REQUIRE(lmdb.size() == std::ssize(pairs));
    bool same = true;
    for (std::int64_t i = 0; i < lmdb.size(); ++i) {
      const KeyValue& pair = pairs[static_cast<std::size_t>(i)];
      same &= lmdb.key(i) == pair.key && text(lmdb.value(i)) == pair.value;
    }
    CHECK(same);
    CHECK_THROWS_AS(lmdb.value(lmdb.size()), Error);
  }
}

TEST_CASE("lmdb: what is no such database, of another kind, or cut off") {
  const TempFolder temp;
  const fs::path file = temp.path / "data.mdb", copy = temp.path / "copy.mdb";
  CHECK(contains(refusal(file), "data.mdb"));
  write_lmdb(temp.path, some_pairs(200));
  const std::vector<std::byte> whole = read_file(file, 1 << 30);
  for (const std::size_t n : {std::size_t{0}, std::size_t{100}, std::size_t{600}, std::size_t{4096},
                              std::size_t{8192}, whole.size() / 2, whole.size() - 4096}) {
    CAPTURE(n);
    write(copy, std::span(whole).first(n));
    const std::string message = refusal(copy);
    CHECK_MESSAGE((contains(message, "is no LMDB database") || contains(message, "is cut off or damaged")),
                  message);
  }
  const auto changed = [&](std::size_t at, std::uint64_t value, std::size_t size) {
    std::vector<std::byte> bytes = whole;
    for (const std::size_t page : {std::size_t{0}, std::size_t{4096}})
      std::memcpy(&bytes[page + at], &value, size);
    write(copy, bytes);
    return refusal(copy);
  };
  CHECK(contains(changed(20, 2, 4), "version 2 of LMDB's format"));
  CHECK(contains(changed(40, 3000, 4), "pages of 3000 bytes"));
  CHECK(contains(changed(128, 1 << 20, 8), "needs page 1048576"));
  CHECK(contains(changed(128, 0, 8), "page 0 is not what it should be"));

  fs::remove_all(temp.path);
  write_several_databases(temp.path);
  CHECK(contains(refusal(file), "several databases"));
}

TEST_CASE("lmdb: a page that leads back to itself ends") {
  const TempFolder temp;
  write_lmdb(temp.path, some_pairs(3000));
  std::vector<std::byte> bytes = read_file(temp.path / "data.mdb", 1 << 30);
  // Every node of every branch page leads to the first branch page.
  std::uint64_t first = 0;
  for (std::size_t at = 8192; at < bytes.size(); at += 4096) {
    std::uint16_t flags, lower;
    std::memcpy(&flags, &bytes[at + 10], 2);
    std::memcpy(&lower, &bytes[at + 12], 2);
    if (flags != 1) continue;
    if (first == 0) first = at / 4096;
    for (std::size_t i = 16; i + 1 < lower && lower <= 4096; i += 2) {
      std::uint16_t node;
      std::memcpy(&node, &bytes[at + i], 2);
      if (node + 4 <= 4096) std::memcpy(&bytes[at + node], &first, 4);
    }
  }
  REQUIRE(first > 0);
  write(temp.path / "data.mdb", bytes);
  CHECK(contains(refusal(temp.path / "data.mdb"), "is not what it should be"));
}
