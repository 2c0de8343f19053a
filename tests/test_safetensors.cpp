/// Safetensors files: round trips, bytes as the format prescribes them, and damaged files of every kind, each of which must be
/// refused with one UserError that names the file and the reason.
#include <chrono>
#include <cmath>
#include <limits>

#include "tensor/io/safetensors.h"
#include "tensor_files.h"

using namespace damc;

namespace {

std::string safetensors(const std::string& header, const std::string& data = "") {
  return raw(std::uint64_t{header.size()}) + header + data;
}

}  // namespace

TEST_CASE("safetensors: what is written is read") {
  const TempFile file;
  const Tensor matrix = counting<float>({3, 4});
  const std::map<std::string, Tensor> tensors = {{"f32", matrix},
                                                 {"f64", counting<double>({2, 1, 3})},
                                                 {"i64", counting<std::int64_t>({5})},
                                                 {"scalar", Tensor::full({}, 2.5)},
                                                 {"empty", Tensor::empty({2, 0, 3}, Dtype::f64)},
                                                 {"transposed", matrix.transpose(0, 1)},
                                                 {"columns", matrix.narrow(1, 1, 2)},
                                                 {"expanded", matrix.narrow(0, 2, 1).expand({2, 3, 4})},
                                                 {"six", counting<float>({1, 2, 1, 3, 1, 2})},
                                                 {"", counting<float>({2})},
                                                 {"ü \"\\\n", counting<float>({1})}};
  const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"a\n\"b", "\xc3\xa9\t"}};
  write_safetensors(file.path(), tensors, metadata);

  const Weights read = read_safetensors(file.path());
  CHECK(read.metadata == metadata);
  REQUIRE(read.tensors.size() == tensors.size());
  for (const auto& item : tensors) {
    const std::string& name = item.first;
    const Tensor& tensor = item.second;
    CAPTURE(name);
    REQUIRE(read.tensors.contains(name));
    if (tensor.dtype() == Dtype::i64) {
      check_same<std::int64_t>(read.tensors.at(name), tensor);
    } else {
      check_same<double>(read.tensors.at(name), tensor);
    }
  }

  const SafetensorsHeader header = read_safetensors_header(file.path());
  CHECK(header.metadata == metadata);
  CHECK(header.data_start % 8 == 0);
  CHECK(header.tensors.at("transposed").shape == std::vector<std::int64_t>{4, 3});
  CHECK(header.tensors.at("i64").dtype == "I64");
  std::int64_t end = 0;
  for (const auto& [name, entry] : header.tensors) {
    CHECK(entry.begin == end);
    end = entry.end;
  }
  CHECK(header.data_start + end == static_cast<std::int64_t>(file.bytes().size()));
}

TEST_CASE("safetensors: the bytes of a small file") {
  const TempFile file;
  write_safetensors(
      file.path(),
      {{"b", Tensor::from<float>({1.0f, -2.0f}, {2})}, {"a", Tensor::from<std::int64_t>({258}, {})}},
      {{"k", "v"}});
  const std::string header =
      R"({"__metadata__":{"k":"v"},"a":{"data_offsets":[0,8],"dtype":"I64","shape":[]},)"
      R"("b":{"data_offsets":[8,16],"dtype":"F32","shape":[2]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  CHECK(file.bytes() == safetensors(padded, "\2\1\0\0\0\0\0\0\0\0\x80\x3f\0\0\0\xc0"s));

  write_safetensors(file.path(), {});
  CHECK(file.bytes() == "\x08\0\0\0\0\0\0\0{}      "s);
  CHECK(read_safetensors(file.path()).tensors.empty());
}

TEST_CASE("safetensors: data in any order and at any alignment, half precision as f32") {
  const TempFile file;
  const float infinity = std::numeric_limits<float>::infinity();
  std::string halves;
  for (const int bits : {0x3c00, 0xc000, 0x7bff, 0x0001, 0x83ff, 0x0400, 0x7c00, 0xfc00, 0x8000, 0x7e01})
    halves += raw(static_cast<std::uint16_t>(bits));
  std::string brains;
  for (const int bits : {0x3f80, 0xc000, 0x7f80, 0x0001}) brains += raw(static_cast<std::uint16_t>(bits));
  file.write(safetensors(R"({"z":{"dtype":"F16","shape":[10],"data_offsets":[0,20]},)"
                         R"( "none":{"dtype":"F64","shape":[0],"data_offsets":[20,20]},)"
                         R"( "y":{"shape":[2,2],"data_offsets":[20,28],"dtype":"BF16"},)"
                         R"( "a":{"dtype":"F32","shape":[1],"data_offsets":[28,32]}}   )",
                         halves + brains + raw(7.5f)));
  const Weights read = read_safetensors(file.path());
  auto values = read.tensors.at("z").to_vector<float>();
  CHECK(std::isnan(values.back()));
  values.pop_back();
  CHECK(values ==
        std::vector{1.0f, -2.0f, 65504.0f, 0x1p-24f, -1023 * 0x1p-24f, 0x1p-14f, infinity, -infinity, -0.0f});
  CHECK(std::signbit(values.back()));
  CHECK(read.tensors.at("y").to_vector<float>() == std::vector{1.0f, -2.0f, infinity, 0x1p-133f});
  CHECK(read.tensors.at("y").shape() == Shape{2, 2});
  CHECK(read.tensors.at("a").item() == 7.5);
}

/// Both readers refuse `bytes` for `reason`.
void check_safetensors_refused(const TempFile& file, const std::string& bytes, const std::string& reason) {
  CAPTURE(reason);
  file.write(bytes);
  const std::string message = refusal(file, read_safetensors);
  CAPTURE(message);
  CHECK(message.find(reason) != std::string::npos);
  CHECK(refusal(file, read_safetensors_header) == message);
}

TEST_CASE("safetensors: a damaged file is refused") {
  const TempFile file;
  const struct {
    std::string bytes, reason;
  } cases[] = {
      {"", "too few for a header length"},
      {"1234567", "too few for a header length"},
      {raw(~std::uint64_t{0}) + "{}", "a header of 18446744073709551615 bytes; at most"},
      {raw(std::uint64_t{1} << 63) + "{}", "at most 100000000 are allowed"},
      {raw(std::uint64_t{100'000'001}) + "{}", "at most 100000000 are allowed"},
      {raw(std::uint64_t{3}) + "{}", "a header of 3 bytes in a file of 10"},
      {safetensors(""), "does not start with '{'"},
      {safetensors(" {}"), "does not start with '{'"},
      {safetensors("\xef\xbb\xbf{}"), "does not start with '{'"},
      {safetensors("[]"), "does not start with '{'"},
      {safetensors("{"), "not valid JSON"},
      {safetensors("{} {}"), "not valid JSON"},
      {safetensors("{}\0{"s), "zero byte"},
      {safetensors("{\"\xff\":0}"), "not valid JSON"},
      {safetensors(R"({"x":1e999})"), "not valid JSON"},
      {safetensors(R"({"x":NaN})"), "not valid JSON"},
      {safetensors("{} // comment"), "not valid JSON"},
      {safetensors("{\"x\":" + std::string(100'000, '[')), "nests too deeply"},
      {safetensors(R"({"x":{},"x":{}})"), R"(the key "x" twice)"},
      {safetensors(R"({"x":{},"b":{},"x":{},"a":{}})"), R"(the key "x" twice)"},
      {safetensors(R"({"x":{"dtype":"F32","dtype":"F32"}})"), R"(the key "dtype" twice)"},
      {safetensors(R"({"__metadata__":{"a":"1","a":"2"}})"), R"(the key "a" twice)"},
      {safetensors(R"({"__metadata__":[]})"), "metadata is not an object"},
      {safetensors(R"({"__metadata__":{"a":1}})"), R"(the metadata's "a" is not a string)"},
      {safetensors(R"({"__metadata__":{"a":{"b":"c"}}})"), R"(the metadata's "a" is not a string)"},
      {safetensors(R"({"x":3})"), R"(tensor "x": the entry needs)"},
      {safetensors(R"({"x":{"dtype":"F32","shape":[0]}})"), R"(tensor "x": the entry needs)"},
      {safetensors(R"({"x":{"dtype":"F32","shape":[0],"offsets":[0,0]}})"), "the entry needs"},
      {safetensors("{\"" + std::string(1000, 'n') + "\":3}"), "nnn\"...: the entry needs"},
      {safetensors(R"({"a\nb":3})"), R"(tensor "a\nb": the entry needs)"},
      {safetensors("{}", "1"), "the tensors take 0 bytes, the file holds 1"},
  };
  for (const auto& damaged : cases) check_safetensors_refused(file, damaged.bytes, damaged.reason);
}

TEST_CASE("safetensors: a wrong entry is refused") {
  const TempFile file;
  std::string many_ones = "[2";
  for (int i = 1; i < 65; ++i) many_ones += ",1";
  many_ones += "]";
  const struct {
    std::string dtype, shape, offsets, reason;
  } cases[] = {
      {"4", "[2]", "[0,8]", "the dtype is not a string"},
      {R"("I32")", "[3]", "[0,8]", "data_offsets hold 8 bytes, shape [3] of I32 needs 12"},
      {R"("F4")", "[5]", "[0,8]", "shape [5] of F4 needs 3"},
      {R"("f32")", "[2]", "[0,8]", R"(there is no dtype "f32")"},
      {R"("F32")", "2", "[0,8]", "the shape is not a list"},
      {R"("F32")", "[[2]]", "[0,8]", "not a natural number"},
      {R"("F32")", many_ones, "[0,8]", "65 dimensions; at most 64"},
      {R"("F32")", "[-2]", "[0,8]", "not a natural number"},
      {R"("F32")", "[2.0]", "[0,8]", "not a natural number"},
      {R"("F32")", R"(["2"])", "[0,8]", "not a natural number"},
      {R"("F32")", "[null]", "[0,8]", "not a natural number"},
      {R"("F32")", "[18446744073709551615]", "[0,8]", "not a natural number"},
      {R"("F32")", "[99999999999999999999]", "[0,8]", "not a natural number"},
      // Products that wrap: 2^64 to 0, (2^62 + 2) 4 to 8.
      {R"("F32")", "[4294967296,4294967296]", "[0,0]", "more elements than can be counted"},
      {R"("F32")", "[4611686018427387906]", "[0,8]", "more elements than can be counted"},
      {R"("F32")", "[0,4611686018427387904,4]", "[0,0]", "more elements than can be counted"},
      {R"("F32")", "[2]", "8", "data_offsets are not two"},
      {R"("F32")", "[2]", "[8]", "data_offsets are not two"},
      {R"("F32")", "[2]", "[0,8,8]", "data_offsets are not two"},
      {R"("F32")", "[2]", "[-8,0]", "data_offsets are not two"},
      {R"("F32")", "[2]", "[0,8.0]", "data_offsets are not two"},
      {R"("F32")", "[2]", "[8,0]", "data_offsets are not two"},
      {R"("F32")", "[2]", "[18446744073709551608,0]", "data_offsets are not two"},
      {R"("F32")", "[2]", "[0,7]", "data_offsets hold 7 bytes, shape [2] of F32 needs 8"},
      {R"("F32")", "[]", "[0,0]", "data_offsets hold 0 bytes, shape [] of F32 needs 4"},
      {R"("F32")", "[2]", "[1,9]", "its data begins at 1, after a hole that begins at 0"},
      {R"("F32")", "[1]", "[0,4]", "the tensors take 4 bytes, the file holds 8"},
      {R"("F32")", "[3]", "[0,12]", "the tensors take 12 bytes, the file holds 8"},
  };
  for (const auto& wrong : cases) {
    const std::string header = R"({"x":{"dtype":)" + wrong.dtype + R"(,"shape":)" + wrong.shape +
                               R"(,"data_offsets":)" + wrong.offsets + "}}";
    check_safetensors_refused(file, safetensors(header, "12345678"), wrong.reason);
  }
}

TEST_CASE("safetensors: what a Tensor cannot hold is listed, and is in nobody's way") {
  const TempFile file;
  const char* types[] = {"BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "I16", "U16", "I32", "U32", "U64", "C64"};
  const int sizes[] = {1, 1, 1, 1, 1, 2, 2, 4, 4, 8, 8};
  std::string entries, data;
  const auto add = [&](const std::string& name, const std::string& type, const std::string& shape,
                       std::size_t bytes, const std::string& more = "") {
    entries += fmt::format(R"(,"{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]{}}})", name, type, shape,
                           data.size(), data.size() + bytes, more);
    data += std::string(bytes, '\0');
  };
  for (std::size_t i = 0; i < std::size(types); ++i)
    add(types[i], types[i], "[3]", 3 * static_cast<std::size_t>(sizes[i]));
  add("nine", "F32", "[1,1,1,1,1,1,1,1,2]", 8);
  add("wanted", "F32", "[2]", 8, R"(,"layout":{"strides":[[1]]},"comment":null)");
  file.write(safetensors(R"({"__metadata__":null)" + entries + "}", data));

  const SafetensorsHeader header = read_safetensors_header(file.path());
  CHECK(header.metadata.empty());
  CHECK(header.tensors.size() == std::size(types) + 2);
  CHECK(header.tensors.at("F8_E4M3").dtype == "F8_E4M3");
  CHECK(header.tensors.at("nine").shape.size() == 9);
  const Weights read = read_safetensors(file.path());
  for (const auto& [name, tensor] : read.tensors) {
    const bool integers =
        name == "BOOL" || name.ends_with("8") || name.ends_with("16") || name.ends_with("32");
    CHECK(tensor.defined() == (name == "wanted" || integers));
    if (integers) CHECK(tensor.dtype() == Dtype::i64);
  }
  CHECK(read.tensors.at("wanted").shape() == Shape{2});
}

TEST_CASE("safetensors: the header of 30,000 tensors is read in no time to speak of") {
  const TempFile file;
  std::string header = "{";
  for (int i = 0; i < 30'000; ++i)
    header += fmt::format(R"({}"block.{}.weight":{{"dtype":"U8","shape":[1],"data_offsets":[{},{}]}})",
                          i ? "," : "", i, i, i + 1);
  file.write(safetensors(header + "}", std::string(30'000, 'd')));
  const auto start = std::chrono::steady_clock::now();
  CHECK(read_safetensors_header(file.path()).tensors.size() == 30'000);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));  // quadratic: minutes
}

TEST_CASE("safetensors: data with holes or overlaps is refused") {
  const TempFile file;
  const struct {
    std::string x, y, reason;
  } cases[] = {
      {"[0,8]", "[9,17]", R"(tensor "y": its data begins at 9, after a hole that begins at 8)"},
      {"[0,8]", "[7,15]", R"(tensor "y": its data begins at 7, inside a range that ends at 8)"},
      {"[0,8]", "[0,8]", "its data begins at 0, inside a range"},
      {"[8,16]", "[12,20]", R"(tensor "x": its data begins at 8, after a hole)"},
      {"[16,24]", "[0,8]", R"(tensor "x": its data begins at 16, after a hole)"},
  };
  for (const auto& [x, y, reason] : cases) {
    const std::string entry = R"({"dtype":"F64","shape":[1],"data_offsets":)";
    const std::string header = R"({"x":)" + entry + x + R"(},"y":)" + entry + y + "}}";
    check_safetensors_refused(file, safetensors(header, std::string(16, 'd')), reason);
  }
}

TEST_CASE("safetensors: names that cannot be written, paths that cannot be read") {
  const TempFile file;
  const Tensor x = counting<float>({2});
  CHECK_THROWS_AS(write_safetensors(file.path(), {{"__metadata__", x}}), UserError);
  CHECK_THROWS_AS(write_safetensors(file.path(), {{"\xff", x}}), UserError);
  CHECK_THROWS_AS(write_safetensors(file.path(), {{"x", x}}, {{"a", "\xff"}}), UserError);
  CHECK_THROWS_AS(write_safetensors(file.path(), {{"x", Tensor()}}), Error);
  CHECK_THROWS_AS(write_safetensors(file.path() / "no folder", {{"x", x}}), Error);
  CHECK_FALSE(fs::exists(file.path()));
  CHECK_THROWS_AS(read_safetensors(file.path()), UserError);
  CHECK_THROWS_AS(read_safetensors(file.path().parent_path()), UserError);
}

TEST_CASE("safetensors: 2000 mutations") {
  const TempFile file;
  write_safetensors(file.path(), {{"w", counting<float>({3, 4})}, {"n", counting<std::int64_t>({2})}},
                    {{"k", "v"}});
  fuzz(file, read_safetensors);
}
