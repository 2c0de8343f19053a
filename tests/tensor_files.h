/// What tests of tensor files share: a file that goes with the test, its bytes, and damage done to it.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/tensor.h"

namespace damc {

namespace fs = std::filesystem;
using namespace std::string_literals;

/// A file name in a folder that goes with the test.
class TempFile {
 public:
  TempFile() { fs::create_directories(folder_); }
  ~TempFile() { fs::remove_all(folder_); }
  const fs::path& path() const { return path_; }

  static std::string content(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string bytes() const { return content(path_); }
  void write(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

 private:
  fs::path folder_ = fs::temp_directory_path() / ("damc-test-io-" + std::to_string(::getpid()));
  fs::path path_ = folder_ / "some.file";
};

/// Little-endian bytes of an integer or float.
template <class T>
std::string raw(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// The message of the UserError that read(path) throws: it names the file, and has one line and a hint.
template <class Read>
inline std::string refusal(const TempFile& file, Read read) {
  try {
    read(file.path());
  } catch (const UserError& error) {
    const std::string message = error.what();
    CHECK(message.find("'" + file.path().string() + "'") == 0);
    CHECK(message.find('\n') == message.find("\nhint: "));
    CHECK(message.rfind('\n') == message.find('\n'));
    CHECK(message.size() < 500);
    return message;
  } catch (const std::exception& error) {
    FAIL_CHECK("not a UserError: " << error.what());
  }
  return "";
}

template <class T>
Tensor counting(const Shape& shape) {
  std::vector<T> values(static_cast<std::size_t>(shape.numel()));
  std::iota(values.begin(), values.end(), T(-3));
  return Tensor::from(values, shape);
}

template <class T>
void check_same(const Tensor& a, const Tensor& b) {
  CHECK(a.shape() == b.shape());
  CHECK(a.dtype() == b.dtype());
  CHECK(a.to_vector<T>() == b.to_vector<T>());
}

/// Reads 2000 damaged copies of a valid file: each is either accepted or refused with a UserError.
template <class Read>
void fuzz(const TempFile& file, Read read) {
  const std::string valid = file.bytes();
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = valid;
    for (std::size_t i = 0; i <= below(4); ++i) bytes[below(bytes.size())] = static_cast<char>(random());
    if (round % 5 == 0) bytes.resize(below(valid.size() + 20));
    file.write(bytes);
    try {
      read(file.path());
    } catch (const UserError&) {
      ++refused;
    } catch (const std::exception& error) {
      FAIL_CHECK("round " << round << ": " << error.what());
    }
  }
  CHECK(refused > 1000);
}

}  // namespace damc
