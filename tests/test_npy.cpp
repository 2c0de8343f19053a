/// Arrays of numpy: round trips, bytes as the format prescribes them, and damaged files of every kind, each of which must be
/// refused with one UserError that names the file and the reason.
#include <limits>

#include "tensor/io/npy.h"
#include "tensor_files.h"

using namespace damc;

namespace {

std::string npy(const std::string& header, const std::string& data = "",
                const std::string& version = "\1\0"s) {
  const std::string length = version[0] == 1 ? raw(static_cast<std::uint16_t>(header.size()))
                                             : raw(static_cast<std::uint32_t>(header.size()));
  return "\x93NUMPY" + version + length + header + data;
}

}  // namespace

TEST_CASE("npy: what is written is read") {
  const TempFile file;
  const Tensor cube = counting<float>({2, 3, 4});
  for (const Tensor& tensor : {cube, cube.permute({2, 0, 1}), cube.narrow(2, 1, 2), Tensor::full({}, 2.5),
                               Tensor::empty({3, 0}), counting<float>({7}), counting<double>({2, 2})}) {
    write_npy(file.path(), tensor);
    CHECK(file.bytes().find('\n') % 64 == 63);
    check_same<double>(read_npy(file.path()), tensor);
  }
  const Tensor integers = Tensor::from<std::int64_t>({std::numeric_limits<std::int64_t>::min(), 3}, {2, 1});
  write_npy(file.path(), integers);
  check_same<std::int64_t>(read_npy(file.path()), integers);
}

TEST_CASE("npy: the bytes of small files, as numpy.save writes them") {
  const TempFile file;
  const auto expected = [](std::string dictionary, const std::string& data) {
    dictionary.resize(117, ' ');
    return "\x93NUMPY\1\0\x76\0"s + dictionary + "\n" + data;
  };
  write_npy(file.path(), Tensor::from<float>({1.0f, -2.0f}, {2}));
  CHECK(file.bytes() ==
        expected("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", raw(1.0f) + raw(-2.0f)));
  write_npy(file.path(), Tensor::from<double>({1.0, 3.0}, {1, 2}));
  CHECK(file.bytes() ==
        expected("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }", raw(1.0) + raw(3.0)));
  write_npy(file.path(), Tensor::from<std::int64_t>({-1}, {}));
  CHECK(file.bytes() ==
        expected("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", std::string(8, '\xff')));
}

TEST_CASE("npy: all versions, unaligned data, any spelling of the dictionary") {
  const TempFile file;
  const std::string data = raw(1.0f) + raw(2.0f);
  for (const std::string& version : {"\1\0"s, "\2\0"s, "\3\0"s}) {
    for (const std::string dictionary :
         {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n",
          "{\"shape\":(2,1),\"descr\":\"<f4\",\"fortran_order\":False}",
          " { 'shape' : ( 2 , 1 , ) , 'fortran_order' : False , 'descr' : '<f4' } "}) {
      file.write(npy(dictionary, data, version));
      check_same<float>(read_npy(file.path()), Tensor::from<float>({1.0f, 2.0f}, {2, 1}));
    }
  }
}

TEST_CASE("npy: either order of bytes and of indices, and every number that has a type of ours") {
  const TempFile file;
  const auto written = [&](const std::string& descr, const std::string& shape, const std::string& data,
                           const std::string& order = "False") {
    file.write(
        npy("{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + "}", data));
    return read_npy(file.path());
  };
  const auto swapped = [](std::string bytes) { return std::string(bytes.rbegin(), bytes.rend()); };
  const auto check = [&](const std::string& code, auto value, auto held) {
    const std::string bytes = raw(value);
    CAPTURE(code);
    const auto expected = Tensor::from<decltype(held)>({held}, {1});
    for (const char* order : {"<", "="})
      check_same<decltype(held)>(written(order + code, "(1,)", bytes), expected);
    check_same<decltype(held)>(written(">" + code, "(1,)", swapped(bytes)), expected);
    if (sizeof value == 1) check_same<decltype(held)>(written("|" + code, "(1,)", bytes), expected);
  };
  using I = std::int64_t;
  check("f2", std::uint16_t{0xc100}, -2.5f);
  check("f4", -1.25e-3f, -1.25e-3f);
  check("f8", 1e300, 1e300);
  check("i1", std::int8_t{-128}, I{-128});
  check("i2", std::int16_t{-30000}, I{-30000});
  check("i4", std::int32_t{-2000000000}, I{-2000000000});
  check("i8", std::numeric_limits<I>::min(), std::numeric_limits<I>::min());
  check("u1", std::uint8_t{255}, I{255});
  check("u2", std::uint16_t{65535}, I{65535});
  check("u4", std::uint32_t{4294967295}, I{4294967295});
  check("u8", std::uint64_t{1} << 62, I{1} << 62);

  std::string six;
  for (const float x : {0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 5.0f}) six += raw(x);
  check_same<float>(written("<f4", "(2, 3)", six, "True"), Tensor::from<float>({0, 2, 4, 1, 3, 5}, {2, 3}));
  check_same<float>(written("<f4", "(1, 3, 2)", six, "True"),
                    Tensor::from<float>({0, 3, 1, 4, 2, 5}, {1, 3, 2}));
  check_same<float>(written("<f4", "(6,)", six, "True"), Tensor::from<float>({0, 1, 2, 3, 4, 5}, {6}));
  check_same<float>(written("<f4", "(0, 3)", "", "True"), Tensor::empty({0, 3}));
  check_same<I>(written("|u1", "(2, 2)", "abcd", "True"), Tensor::from<I>({97, 99, 98, 100}, {2, 2}));
  check_same<float>(written("<f4", "(2L, 3L)", six), Tensor::from<float>({0, 1, 2, 3, 4, 5}, {2, 3}));
}

TEST_CASE("npy: damaged and foreign files are refused") {
  const TempFile file;
  const auto array = [](const std::string& descr, const std::string& shape,
                        const std::string& order = "False") {
    return npy("{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }\n",
               "12345678");
  };
  const struct {
    std::string bytes, reason;
  } cases[] = {
      {"", "not a .npy file"},
      {"\x93NUMP", "not a .npy file"},
      {"PK\3\4rest of a zip file", "not a .npy file"},
      {"\x93NUMPY", "ends within the .npy header"},
      {"\x93NUMPY\1\0\1"s, "ends within the .npy header"},
      {"\x93NUMPY\2\0\1\0\0"s, "ends within the .npy header"},
      {"\x93NUMPY\1\0\5\0{}"s, "ends within the .npy header"},
      {npy("{}", "", "\0\0"s), "version 0.0 of .npy"},
      {npy("{}", "", "\4\0"s), "version 4.0 of .npy"},
      {npy("{}", "", "\1\1"s), "version 1.1 of .npy"},
      {"\x93NUMPY\2\0\xff\xff\xff\xff{}"s, "a .npy header of 4294967295 bytes"},
      {npy(""), "no { where one is due"},
      {npy("{"), "no ' where one is due"},
      {npy("{'descr"), "a string without an end"},
      {npy("{'descr' '<f4'}"), "no : where one is due"},
      {npy("{'descr': '<f4', 'fortran_order': False}"), "shape is missing"},
      {npy("{'descr': '<f4', 'shape': (2,)}"), "is missing"},
      {npy("{'descr': '<f4', 'descr': '<f4'}"), "a key twice"},
      {npy("{'descr': '<f4', 'name': 'x'}"), "an unknown key"},
      {npy("{'descr': '<f4' 'shape': (2,)}"), "no } where one is due"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}; import os"), "something follows"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}\0"s), "something follows"},
      {array("'|b1'", "(8,)"), "dtype '|b1' is not supported"},
      {array("'<c8'", "(1,)"), "dtype '<c8' is not supported"},
      {array("'<f16'", "(1,)"), "dtype '<f16' is not supported"},
      {array("'<>f4'", "(2,)"), "dtype '<>f4' is not supported"},
      {npy("{'descr': '<u8', 'fortran_order': False, 'shape': (1,), }", std::string(8, '\xff')),
       "2^63 or more"},
      {array("'|O'", "(1,)"), "dtype '|O' is not supported"},
      {array("'\n\x1b[2J'", "(1,)"), "dtype '\\n\\x1b[2J' is not supported"},
      {array("'<M8[s]'", "(1,)"), "dtype '<M8[s]' is not supported"},
      {array("[('a', '<f4'), ('b', '<f4')]", "(1,)"), "a structured dtype is not supported"},
      {array("<f4", "(2,)"), "no ' where one is due"},
      {array("'<f4'", "(2,)", "0"), "neither True nor False"},
      {array("'<f4'", "(2,)", "Falsehood"), "no } where one is due"},
      {array("'<f4'", "[2]"), "no ( where one is due"},
      {array("'<f4'", "(2)"), "the shape is not a tuple"},
      {array("'<f4'", "(2,"), "not a natural number"},
      {array("'<f4'", "(-2,)"), "not a natural number"},
      {array("'<f4'", "(2.0,)"), "the shape is not a tuple"},
      {array("'<f4'", "(nan,)"), "not a natural number"},
      {array("'<f4'", "(9223372036854775808,)"), "not a natural number"},
      {array("'<f4'", "(4294967296, 4294967296)"), "more elements than can be counted"},
      {array("'<f4'", "(0, 4611686018427387904, 4)"), "more elements than can be counted"},
      {array("'<f4'", "(1, 1, 1, 1, 1, 1, 2)"), "more than 6 dimensions"},
      {array("'<f4'", "(3,)"), "8 bytes of data, but shape [3] of f4 needs 12"},
      {array("'<f4'", "()"), "8 bytes of data, but shape [] of f4 needs 4"},
      {array("'<f4'", "(0,)"), "8 bytes of data, but shape [0] of f4 needs 0"},
  };
  for (const auto& damaged : cases) {
    CAPTURE(damaged.reason);
    file.write(damaged.bytes);
    const std::string message = refusal(file, read_npy);
    CAPTURE(message);
    CHECK(message.find(damaged.reason) != std::string::npos);
  }
  CHECK_THROWS_AS(read_npy(file.path().parent_path()), UserError);
  CHECK_THROWS_AS(write_npy(file.path(), Tensor()), Error);
}

TEST_CASE("npy: 2000 mutations") {
  const TempFile file;
  write_npy(file.path(), counting<float>({3, 4}));
  const std::string padded = file.bytes();
  // Without the padding, in which most mutations would fall.
  file.write(npy(padded.substr(10, padded.find('}') - 9), padded.substr(128)));
  fuzz(file, read_npy);
}
