/// SVHN: MATLAB files made here byte by byte, in all the ways in which programs write them, and damaged ones.
#include <doctest/doctest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/svhn.h"
#include "tensor/error.h"
#include "tests/messages.h"

using namespace damc;
namespace fs = std::filesystem;

namespace {

struct TempFolder {
  fs::path path = fs::temp_directory_path() / ("damc-test-svhn-" + std::to_string(::getpid()));
  TempFolder() { fs::create_directories(path); }
  ~TempFolder() { fs::remove_all(path); }
};

void write(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

/// The first line of the UserError that reading the file throws; empty if it throws none.
std::string error(const fs::path& path) {
  const std::string what = error_of<UserError>([&] { read_svhn_file(path); });
  return what.substr(0, what.find('\n'));
}

/// Writes the parts of MATLAB 5 files, in either byte order.
struct Writer {
  bool big_endian = false, compressed = false;

  template <typename T>
  std::string number(T value) const {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    if (big_endian) std::reverse(bytes.begin(), bytes.end());
    return bytes;
  }
  template <typename T>
  std::string numbers(const std::vector<T>& values) const {
    std::string bytes;
    for (const T value : values) bytes += number(value);
    return bytes;
  }
  /// A type, a size and the data, filled up to 8 bytes; up to 4 bytes of data fit beside their type.
  std::string element(uint32_t type, std::string data) const {
    const auto size = static_cast<uint32_t>(data.size());
    const bool small = size <= 4 && size > 0;
    data.resize(small ? 4 : (size + 7) / 8 * 8);
    return (small ? number(size << 16 | type) : number(type) + number(size)) + data;
  }
  std::string matrix(const std::string& name, uint32_t kind, const std::vector<int32_t>& sizes, uint32_t type,
                     const std::string& data) const {
    const std::string body = element(6, number(kind) + number(uint32_t{0})) + element(5, numbers(sizes)) +
                             element(1, name) + element(type, data);
    const std::string whole = number(uint32_t{14}) + number(static_cast<uint32_t>(body.size())) + body;
    if (!compressed) return whole;
    std::string packed(compressBound(whole.size()), '\0');
    uLongf size = packed.size();
    REQUIRE(compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                     reinterpret_cast<const Bytef*>(whole.data()), whole.size()) == Z_OK);
    return number(uint32_t{15}) + number(static_cast<uint32_t>(size)) + packed.substr(0, size);
  }
  std::string header() const {
    std::string text = "MATLAB 5.0 MAT-file";
    text.resize(124, ' ');
    return text + number(uint16_t{0x100}) + number(uint16_t{0x4d49});
  }
};

/// X, column-major: the row varies fastest.
std::string counting(int n, int side = 32) {
  std::string x;
  for (int i = 0; i < n; ++i)
    for (int c = 0; c < 3; ++c)
      for (int column = 0; column < side; ++column)
        for (int row = 0; row < side; ++row) x.push_back(static_cast<char>(row + 2 * column + 50 * c + i));
  return x;
}

std::string file_of(const Writer& w, int n, const std::vector<double>& labels, int side = 32) {
  return w.header() + w.matrix("X", 9, {side, side, 3, n}, 2, counting(n, side)) +
         w.matrix("y", 6, {static_cast<int32_t>(labels.size()), 1}, 9, w.numbers(labels));
}

}  // namespace

TEST_CASE("svhn: column-major arrays, in either byte order, packed or not, cut anywhere") {
  const TempFolder temp;
  const fs::path path = temp.path / "train_32x32.mat";
  for (const bool big_endian : {false, true})
    for (const bool compressed : {false, true}) {
      CAPTURE(big_endian);
      CAPTURE(compressed);
      const std::string whole = file_of({big_endian, compressed}, 4, {1, 10, 9, 5});
      write(path, whole);
      const Images images = read_svhn_file(path);
      CHECK((images.n == 4 && images.height == 32 && images.channels == 3));
      CHECK(images.labels == std::vector<int32_t>{1, 0, 9, 5});
      CHECK(images.image(3)[(5 * 32 + 7) * 3 + 2] == 5 + 14 + 100 + 3);
      for (const size_t left :
           {whole.size() - 1, whole.size() - 40, whole.size() / 2, size_t{140}, size_t{129}}) {
        write(path, whole.substr(0, left));
        CHECK(contains(error(path), "truncated"));
      }
      write(path, whole.substr(0, 100));
      CHECK(contains(error(path), "not a MATLAB 5 file"));
    }
}

namespace {

/// The labels 1, 10, 9 as numbers of type T; `type` and `kind` are the format's numbers for it.
template <typename T>
void check_labels(const fs::path& path, uint32_t type, uint32_t kind) {
  CAPTURE(kind);
  for (const bool big_endian : {false, true}) {
    const Writer w{big_endian, !big_endian};
    write(path, w.header() + w.matrix("y", kind, {1, 3}, type, w.numbers(std::vector<T>{1, 10, 9})) +
                    w.matrix("X", 9, {32, 32, 3, 3}, 2, counting(3)));
    CHECK(read_svhn_file(path).labels == std::vector<int32_t>{1, 0, 9});
  }
}

}  // namespace

TEST_CASE("svhn: labels of every numeric type") {
  const TempFolder temp;
  const fs::path path = temp.path / "a.mat";
  check_labels<double>(path, 9, 6);
  check_labels<uint8_t>(path, 2, 6);  // MATLAB saves small whole doubles so
  check_labels<float>(path, 7, 7);
  check_labels<int8_t>(path, 1, 8);
  check_labels<uint8_t>(path, 2, 9);
  check_labels<int16_t>(path, 3, 10);
  check_labels<uint16_t>(path, 4, 11);
  check_labels<int32_t>(path, 5, 12);
  check_labels<uint32_t>(path, 6, 13);
  check_labels<int64_t>(path, 12, 14);
  check_labels<uint64_t>(path, 13, 15);
}

TEST_CASE("svhn: what is no such file is refused with the reason") {
  const TempFolder temp;
  const fs::path path = temp.path / "train_32x32.mat";
  const Writer w;
  const std::string x = w.matrix("X", 9, {32, 32, 3, 2}, 2, counting(2));
  const auto reason_for = [&](const std::string& bytes) {
    write(path, bytes);
    return error(path);
  };
  CHECK(contains(reason_for(file_of(w, 2, {1, 11})), "label 11"));
  CHECK(contains(reason_for(file_of(w, 2, {1, 1.5})), "label 1.5"));
  CHECK(contains(reason_for(file_of(w, 2, {1, -1})), "label -1"));
  CHECK(contains(reason_for(file_of(w, 2, {1, 2, 3})), "3 labels for 2 images"));
  CHECK(contains(reason_for(file_of(w, 2, {1, 2}, 28)), "28 x 28 x 3 x 2"));
  CHECK(contains(reason_for(w.header() + w.matrix("X", 6, {32, 32, 3, 2}, 2, counting(2))),
                 "32 x 32 x 3 x 2 double that is not 32 x 32 x 3 x N uint8"));
  CHECK(contains(reason_for(w.header() + w.matrix("X", 0x209, {32, 32, 3, 2}, 2, counting(2))),
                 "32 x 32 x 3 x 2 logical that is not"));
  CHECK(contains(reason_for(w.header() + w.matrix("X", 9, {32, 32, 3, 0}, 2, "")), "holds no images"));
  CHECK(contains(reason_for(w.header() + w.matrix("Z", 9, {1, 1}, 2, "a")), "no variable X"));
  CHECK(contains(reason_for(w.header()), "no variable X"));
  CHECK(contains(reason_for(w.header() + x + w.matrix("y", 4, {1, 2}, 4, "abcd")), "y as something else"));
  CHECK(contains(reason_for(w.header() + x + w.matrix("y", 0x806, {1, 2}, 9, std::string(16, 'a'))),
                 "something else"));
  CHECK(contains(reason_for(std::string(200, 'M')), "not a MATLAB 5 file"));
  CHECK(contains(reason_for(""), "not a MATLAB 5 file"));
  CHECK(reason_for(w.header() + x).empty());
  CHECK(read_svhn_file(path).labels.empty());

  const std::string v73 = std::string(512, ' ') + "\x89HDF\r\n\x1a\n" + std::string(100, '\0');
  CHECK(contains(reason_for(v73), "MATLAB 7.3"));
  CHECK(contains(reason_for(v73.substr(512)), "MATLAB 7.3"));
}

TEST_CASE("svhn: hostile sizes are refused before anything is allocated for them") {
  const TempFolder temp;
  const fs::path path = temp.path / "train_32x32.mat";
  const Writer plain, packed{false, true};
  const int32_t most = 0x7fffffff;
  for (const Writer& w : {plain, packed}) {
    write(path, w.header() + w.matrix("X", 9, {32, 32, 3, most}, 2, counting(2)));
    CHECK(contains(error(path), "claims 32 x 32 x 3 x 2147483647 elements"));
    write(path, w.header() + w.matrix("X", 9, {most, most, most, most}, 2, counting(2)));
    CHECK(contains(error(path), "cannot hold"));
    write(path, w.header() + w.matrix("X", 9, {-1, 32, 3, 2}, 2, counting(2)));
    CHECK(contains(error(path), "cannot hold"));
    write(path, w.header() + w.matrix("X", 9, {32, 32, 3, 2}, 2, counting(3)));
    CHECK(contains(error(path), "is damaged"));
    write(path, w.header() + w.matrix("X", 9, {32, 32, 3, 2}, 77, counting(2)));
    CHECK(contains(error(path), "is damaged"));
  }
  // Wherever a small file is changed, it is read or refused; checksums notice it in packed data.
  const std::string whole = file_of(packed, 1, {1});
  write(path, whole);
  const Images original = read_svhn_file(path);
  for (size_t i = 0; i < whole.size(); i += 5) {
    std::string flipped = whole;
    flipped[i] ^= 16;
    write(path, flipped);
    if (i < 136 || !error(path).empty()) continue;
    const Images images = read_svhn_file(path);  // the bit belonged to nothing
    CHECK_MESSAGE((images.pixels == original.pixels && images.labels == original.labels), "byte ", i);
  }
  const std::string unpacked = file_of(plain, 1, {1});
  for (size_t i = 124; i < 220; ++i)
    for (const char with : {'\1', '\xff'}) {
      std::string changed = unpacked;
      changed[i] = with;
      write(path, changed);
      error(path);
    }
}

TEST_CASE("svhn: a set without a test file or labels") {
  const TempFolder temp;
  write(temp.path / "train_32x32.mat", file_of({false, true}, 20, std::vector<double>(20, 0)));
  const Split split = load_dataset("svhn", temp.path);
  CHECK((split.train.n == 18 && split.test.n == 2 && split.train.labels.empty()));
  CHECK(contains(split.note, "test_32x32.mat is missing"));
  write(temp.path / "test_32x32.mat", file_of({}, 3, {1, 2, 10}));
  CHECK(load_dataset("svhn", temp.path).test.labels == std::vector<int32_t>{1, 2, 0});
}
