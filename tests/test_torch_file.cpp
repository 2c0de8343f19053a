/// PyTorch's files: what PyTorch itself has written (tests/golden/make_files.py), round trips, and hostile ones, each of
/// which must be refused with one UserError that names the file and the reason.
#include <algorithm>
#include <limits>

#include "tensor/io/torch_file.h"
#include "tensor/io/weights.h"
#include "tensor/io/zip_archive.h"
#include "tensor_files.h"

using namespace damc;

namespace {

const fs::path kFiles = fs::path(DAMC_SOURCE_DIR) / "tests/golden/files";

/// The formula of make_files.py.
std::vector<double> formula(std::int64_t i, std::int64_t count) {
  std::vector<double> values;
  for (std::int64_t k = 0; k < count; ++k) values.push_back(0.5 * static_cast<double>(k - i));
  return values;
}

std::vector<double> values_of(const Weights& file, const std::string& name) {
  const Tensor& tensor = file.tensors.at(name);
  if (tensor.dtype() != Dtype::i64) return tensor.to_vector<double>();
  const auto integers = tensor.to_vector<std::int64_t>();
  return {integers.begin(), integers.end()};
}

/// Values of a tensor by the formula, indexed by `at(k...)`.
template <class F>
std::vector<double> picked(std::int64_t i, std::int64_t count, const F& places) {
  const std::vector<double> all = formula(i, count);
  std::vector<double> out;
  places([&](std::int64_t k) { out.push_back(all[static_cast<std::size_t>(k)]); });
  return out;
}

/// A file of the newer form: a pickle's operations and the data of storages.
void write_archive(const TempFile& file, const std::string& pickle,
                   const std::map<std::string, std::string>& data = {},
                   const std::map<std::string, std::string>& more = {}) {
  const auto bytes = [](const std::string& text) { return std::as_bytes(std::span(text)); };
  AtomicFile out(file.path());
  ZipWriter archive(out);
  archive.add("x/data.pkl", bytes(pickle));
  for (const auto& [key, content] : data) archive.add("x/data/" + key, bytes(content));
  for (const auto& [name, content] : more) archive.add(name, bytes(content));
  archive.finish();
  out.commit();
}

std::string text_op(const std::string& text) { return "\x8c"s + static_cast<char>(text.size()) + text; }

std::string numbers_op(const std::vector<std::int64_t>& numbers) {
  std::string ops = "(";
  for (const std::int64_t number : numbers) ops += "\x8a\x08"s + raw(number);
  return ops + "t";
}

/// The operations that build a tensor of f32.
std::string tensor_op(std::int32_t storage_size, std::int32_t offset, const std::vector<std::int64_t>& sizes,
                      const std::vector<std::int64_t>& strides, const std::string& type = "FloatStorage") {
  return "ctorch._utils\n_rebuild_tensor_v2\n(("s + text_op("storage") + "ctorch\n" + type + "\n" +
         text_op("0") + text_op("cpu") + "J"s + raw(storage_size) + "tQJ" + raw(offset) + numbers_op(sizes) +
         numbers_op(strides) + "\x89" + "NtR";
}

/// The same of a type that has no storage of its own: it is of so many bytes.
std::string typed_op(const std::string& type, std::int32_t bytes, std::int32_t offset,
                     const std::vector<std::int64_t>& sizes) {
  return "ctorch._utils\n_rebuild_tensor_v3\n(("s + text_op("storage") + "ctorch.storage\nUntypedStorage\n" +
         text_op("0") + text_op("cpu") + "J"s + raw(bytes) + "tQJ" + raw(offset) + numbers_op(sizes) +
         numbers_op({1}) + "\x89" + "Nctorch\n" + type + "\ntR";
}

std::string dict_of(const std::string& value) { return "\x80\x02}"s + text_op("w") + value + "s."; }

void check_refused(const TempFile& file, const std::string& reason) {
  CAPTURE(reason);
  const std::string message = refusal(file, [](const fs::path& path) { read_weights(path); });
  CAPTURE(message);
  CHECK(message.find(reason) != std::string::npos);
}

void check_pickle_refused(const std::string& pickle, const std::string& reason) {
  const TempFile file;
  write_archive(file, pickle);
  check_refused(file, reason);
}

}  // namespace

TEST_CASE("torch: files of PyTorch in both forms") {
  for (const char* name : {"state.pth", "legacy.pth"}) {
    CAPTURE(name);
    const Weights file = read_weights(kFiles / name);
    CHECK(file.tensors.size() == 20);
    const char* floats[] = {"float32", "float64", "float16", "bfloat16"};
    for (std::int64_t i = 0; i < 4; ++i) {
      const Tensor& tensor = file.tensors.at("flat."s + floats[i]);
      CHECK(tensor.dtype() == (i == 1 ? Dtype::f64 : Dtype::f32));
      CHECK(tensor.shape() == Shape{2, 3});
      CHECK(tensor.to_vector<double>() == formula(i, 6));
    }
    const char* integers[] = {"int64", "int32", "int16", "int8"};
    for (std::int64_t i = 4; i < 8; ++i) {
      std::vector<double> expected = formula(i, 6);
      for (double& value : expected) value = std::trunc(value);
      CHECK(values_of(file, "flat."s + integers[i - 4]) == expected);
    }
    CHECK(values_of(file, "flat.uint8") == std::vector<double>{4, 3, 3, 2, 2, 1});
    CHECK(values_of(file, "flat.bool") == std::vector<double>{0, 1, 0, 1, 0, 1});
    CHECK(file.tensors.at("odd.0").shape() == Shape{0, 3});
    CHECK(file.tensors.at("odd.1").shape() == Shape{});
    CHECK(values_of(file, "odd.1") == std::vector{7.0});
    CHECK(values_of(file, "odd.2") == formula(12, 3));
    const std::map<std::string, std::string> metadata = {
        {"iter", "1234"},    {"lr", "0.0001"},   {"betas", "[0.5,0.999]"}, {"done", "true"},
        {"nothing", "null"}, {"name", "a name"}, {"number", "\"12\""},     {"7.seven", "7"}};
    CHECK(file.metadata == metadata);
    CHECK(open_weights(kFiles / name).left_out == std::vector<std::string>{"args", "best"});
  }
}

TEST_CASE("torch: views of one memory") {
  for (const char* name : {"state.pth", "legacy.pth"}) {
    CAPTURE(name);
    const Weights file = read_weights(kFiles / name);
    CHECK(values_of(file, "views.matrix") == formula(10, 12));
    CHECK(file.tensors.at("views.transposed").shape() == Shape{3, 4});
    CHECK(values_of(file, "views.transposed") == picked(10, 12, [](const auto& at) {
            for (int i = 0; i < 3; ++i)
              for (int j = 0; j < 4; ++j) at(3 * j + i);
          }));
    CHECK(values_of(file, "views.rows") == picked(10, 12, [](const auto& at) {
            for (int k = 3; k < 9; ++k) at(k);
          }));
    CHECK(values_of(file, "views.columns") == picked(10, 12, [](const auto& at) {
            for (int k = 0; k < 12; ++k)
              if (k % 3 != 1) at(k);
          }));
    CHECK(values_of(file, "views.expanded") == picked(10, 12, [](const auto& at) {
            for (int k = 0; k < 6; ++k) at(9 + k % 3);
          }));
    CHECK(values_of(file, "views.channels_last") == formula(11, 120));
    CHECK(file.tensors.at("views.permuted").shape() == Shape{4, 2, 5, 3});
    CHECK(values_of(file, "views.permuted") == picked(11, 120, [](const auto& at) {
            for (int h = 0; h < 4; ++h)
              for (int n = 0; n < 2; ++n)
                for (int w = 0; w < 5; ++w)
                  for (int c = 0; c < 3; ++c) at(((n * 3 + c) * 4 + h) * 5 + w);
          }));
  }
}

TEST_CASE("torch: what is written is read, in every element type and without a copy of the whole") {
  const TempFile file;
  const TorchValue original = read_torch_file(kFiles / "state.pth");
  write_torch_file(file.path(), original);
  const StoredWeights before = flatten(original, ""), after = open_weights(file.path());
  REQUIRE(before.tensors.size() == after.tensors.size());
  for (const auto& item : before.tensors) {
    CAPTURE(item.first);
    const StoredTensor& read = after.tensors.at(item.first);
    CHECK(read.dtype == item.second.dtype);
    CHECK(read.shape == item.second.shape);
    CHECK(read.read() == item.second.read());
  }
  CHECK(after.left_out.empty());  // written as None
  for (const auto& [name, text] : before.metadata) CHECK(after.metadata.at(name) == text);
}

TEST_CASE("torch: metadata as text and back") {
  for (const TorchValue& value : {TorchValue{}, TorchValue{true}, TorchValue{std::int64_t{-5}},
                                  TorchValue{0.1}, TorchValue{2.0}, TorchValue{"a [text"s}, TorchValue{"12"s},
                                  TorchValue{"[1]"s}, TorchValue{"\"12\""s}, TorchValue{""s}}) {
    const std::string text = text_of(value);
    CAPTURE(text);
    const TorchValue back = value_of(text);
    CHECK(back.content.index() == value.content.index());
    CHECK(text_of(back) == text);
  }
  const auto list = value_of("[1,0.5,\"a\",null]");
  REQUIRE(list.as<TorchList>());
  CHECK(text_of(list) == "[1,0.5,\"a\",null]");
  CHECK(value_of("[[1]]").as<std::string>());
  CHECK(value_of("{\"a\":1}").as<std::string>());
}

TEST_CASE("safetensors whose header has the length that a pickle begins with") {
  for (const std::size_t length : {640u, 896u, 1152u, 1408u}) {
    CAPTURE(length);
    const TempFile file;
    std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    header.resize(length, ' ');
    const std::string size{static_cast<char>(length & 255), static_cast<char>(length >> 8), 0, 0, 0, 0, 0, 0};
    file.write(size + header + std::string(4, '\0'));
    CHECK(read_weights(file.path()).tensors.at("a").item() == 0.0);
  }
}

TEST_CASE("torch: other kinds of files are told apart") {
  const TempFile file;
  const auto refused = [&](const char* name, const std::string& reason) {
    file.write(TempFile::content(kFiles / name));
    check_refused(file, reason);
  };
  refused("code.pth", R"(it calls "posix.system")");
  refused("module.pth", R"(it calls "torch.nn.modules.linear.Linear")");
  refused("script.pth", "a TorchScript archive");
  refused("stats.npz", "not one of PyTorch");
  file.write(std::string(257, '\0') + "ustar" + std::string(250, '\0'));
  check_refused(file, "a tar archive");
  file.write("\x89HDF\r\n\x1a\n");
  check_refused(file, "an HDF5 file");
  file.write("\x80\x04N.");
  check_refused(file, "a Python pickle");
  file.write("\x89PNG\r\n\x1a\n and an image");
  check_refused(file, "is a PNG image, not a file of weights");
  file.write("<!DOCTYPE html><html>404");
  check_refused(file, "is a web page");
  file.write("version https://git-lfs.github.com/spec/v1\n");
  check_refused(file, "is a pointer of Git LFS");
  file.write(R"({"metadata": {"total_size": 4}, "weight_map": {"a": "model-00001-of-00002.safetensors"}})");
  check_refused(file, "is JSON, as the index of a model in several files");
  file.write("root:x:0:0:root");
  check_refused(file, "neither safetensors nor one of PyTorch's");
}

TEST_CASE("torch: a tensor stays within its storage") {
  const std::string good = dict_of(tensor_op(2, 0, {2}, {1}));
  const TempFile file;
  write_archive(file, good, {{"0", raw(1.5f) + raw(2.5f)}});
  CHECK(values_of(read_weights(file.path()), "w") == std::vector{1.5, 2.5});
  write_archive(file, dict_of(tensor_op(2, 0, {2, 0, 1 << 30}, {1 << 30, 1 << 30, 1 << 30})),
                {{"0", "12345678"}});
  CHECK(read_weights(file.path()).tensors.at("w").numel() == 0);

  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  write_archive(file, dict_of(tensor_op(2, 0, {1, 2, 1}, {most, 1, most})), {{"0", raw(1.5f) + raw(2.5f)}});
  CHECK(values_of(read_weights(file.path()), "w") == std::vector{1.5, 2.5});

  const auto refused = [&](const std::string& pickle, const std::string& reason) {
    write_archive(file, pickle, {{"0", "12345678"}});
    check_refused(file, reason);
  };
  constexpr std::int32_t many = 0x7fffffff;
  const std::string beyond = "a tensor goes beyond its storage of 2 elements";
  refused(dict_of(tensor_op(2, 0, {3}, {1})), beyond);
  refused(dict_of(tensor_op(2, 1, {2}, {1})), beyond);
  refused(dict_of(tensor_op(2, 2, {}, {})), beyond);
  refused(dict_of(tensor_op(2, 0, {2, 2}, {1, 1})), beyond);
  refused(dict_of(tensor_op(2, 0, {many, many, many}, {many, many, many})), beyond);
  refused(dict_of(tensor_op(2, 0, {many, many, many}, {0, 0, 0})), beyond);
  refused(dict_of(tensor_op(2, 0, {3}, {most})), beyond);
  refused(dict_of(tensor_op(2, 0, {most, most}, {1, 1})), beyond);
  refused(dict_of(tensor_op(2, 0, {most, 0}, {1, 1})), beyond);
  refused(dict_of(tensor_op(2, 0, {many}, {0})), "repeat the same memory too often");
  refused(dict_of(tensor_op(2, 0, {2}, {-1})), "no natural number");
  refused(dict_of(tensor_op(2, 0, {-1}, {1})), "no natural number");
  refused(dict_of(tensor_op(2, -1, {1}, {1})), "offset is no natural number");
  refused(dict_of(tensor_op(2, 0, {2}, {1, 1})), "other numbers of sizes and of strides");
  refused(dict_of(tensor_op(3, 0, {2}, {1})), R"(storage "0" needs 12 bytes, its entry has 8)");
  refused(dict_of(tensor_op(-2, 0, {2}, {1})), "a storage without type, key or size");
  refused(dict_of(typed_op("uint16", 8, 1, {4})), "a tensor goes beyond its storage of 4 elements");
  refused(dict_of(typed_op("uint16", 9, 0, {4})), R"(storage "0" needs 9 bytes, its entry has 8)");
  write_archive(file, good);
  check_refused(file, R"(storage "0" needs 8 bytes, and is missing)");
}

TEST_CASE("torch: every protocol that PyTorch can be told to write") {
  const TempFile file;
  const std::string legacy = TempFile::content(kFiles / "legacy.pth");
  for (const char protocol : {'\2', '\3', '\4', '\5'}) {
    CAPTURE(int{protocol});
    std::string pickle = dict_of(tensor_op(2, 0, {2}, {1}));
    pickle[1] = protocol;
    write_archive(file, pickle, {{"0", raw(1.5f) + raw(2.5f)}});
    CHECK(values_of(read_weights(file.path()), "w") == std::vector{1.5, 2.5});
    const std::string frame = protocol < 4 ? ""s : "\x95"s + raw(std::uint64_t{13});
    file.write("\x80"s + protocol + frame + legacy.substr(2));
    CHECK(read_weights(file.path()).tensors.size() == 20);
  }
  file.write(legacy.substr(0, 14));
  check_refused(file, "a Python pickle");
}

TEST_CASE("torch: tensors of newer types are read; of others they are left out, and the rest is read") {
  const TempFile file;
  const std::string both = "\x80\x02}"s + text_op("a") + typed_op("uint16", 8, 1, {3}) + "s" + text_op("b") +
                           typed_op("uint32", 8, 0, {2}) + "s" + text_op("c") +
                           typed_op("float8_e4m3fn", 8, 0, {8}) + "s" + text_op("d") +
                           typed_op("complex32", 8, 0, {2}) + "s" + text_op("e") +
                           typed_op("uint64", 8, 0, {1}) + "s.";
  write_archive(file, both, {{"0", raw(std::uint32_t{0x00020001}) + raw(std::uint32_t{0xffffffff})}});
  const StoredWeights stored = open_weights(file.path());
  CHECK(stored.left_out == std::vector<std::string>{"d"});
  CHECK(stored.tensors.at("c").dtype == "F8_E4M3");
  CHECK(stored.tensors.at("e").dtype == "U64");
  CHECK(stored.tensors.at("e").read().size() == 8);
  const Weights read = read_all(stored);
  CHECK(values_of(read, "a") == std::vector<double>{2, 65535, 65535});
  CHECK(values_of(read, "b") == std::vector<double>{0x20001, 4294967295.0});
  const std::string others[] = {
      tensor_op(2, 0, {2}, {1}, "ComplexDoubleStorage"), tensor_op(2, 0, {2}, {1}, "QInt8Storage"),
      "ctorch._utils\n_rebuild_qtensor\n)R", "ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R",
      "ctorch._utils\n_rebuild_sparse_tensor\n(ctorch.serialization\n_get_layout\n)RtR"};
  for (const std::string& other : others) {
    CAPTURE(other);
    write_archive(file, dict_of(other), {{"0", std::string(32, '\0')}});
    const StoredWeights weights = open_weights(file.path());
    CHECK((weights.tensors.empty() && weights.left_out == std::vector<std::string>{"w"}));
  }
}

TEST_CASE("torch: in the older form, too, tensors of other types are left out where their length is known") {
  const TempFile file;
  const std::string legacy = TempFile::content(kFiles / "legacy.pth");
  const auto replaced = [&](const std::string& type, const std::string& other) {
    std::string changed = legacy;
    file.write(changed.replace(changed.find("torch\n" + type) + 6, type.size(), other));
  };
  replaced("FloatStorage", "QInt32Storage");
  const StoredWeights stored = open_weights(file.path());
  const auto is_left_out = [&](const std::string& name) {
    return std::ranges::count(stored.left_out, name) == 1 && !stored.tensors.contains(name);
  };
  CHECK(is_left_out("flat.float32"));
  const Weights rest = read_all(stored);
  CHECK(values_of(rest, "flat.float64") == formula(1, 6));
  CHECK(values_of(rest, "flat.uint8") == std::vector<double>{4, 3, 3, 2, 2, 1});
  replaced("FloatStorage", "QInt8Storage");  // of other lengths than what is there
  check_refused(file, "the file is damaged");
  replaced("FloatStorage", "QInt9Storage");
  check_refused(file, R"(storages of type "torch.QInt9Storage" are not read)");
}

TEST_CASE("torch: values beside the tensors that are of other types are left out") {
  const std::string no_arguments = ")R";
  const std::string values[] = {"\x8a\x10"s + std::string(16, '\x01'),  // as NumPy's PCG64 has
                                "cpathlib\nPosixPath\n"s + no_arguments,
                                "cdatetime\ndatetime\n"s + no_arguments,
                                "c__builtin__\nfrozenset\n"s + no_arguments};
  for (const std::string& value : values) {
    CAPTURE(value);
    const TempFile file;
    write_archive(file, dict_of(value));
    const StoredWeights weights = open_weights(file.path());
    CHECK((weights.tensors.empty() && weights.left_out == std::vector<std::string>{"w"}));
  }
  const TempFile file;
  write_archive(file,
                dict_of("ccollections\ndefaultdict\ncbuiltins\ndict\n\x85R"s + text_op("x") +
                        tensor_op(1, 0, {1}, {1}) + "s"),
                {{"0", raw(1.5f)}});
  CHECK(values_of(read_weights(file.path()), "w.x") == std::vector{1.5});
}

TEST_CASE("torch: pickles that are no tensors") {
  const std::string long_text = "X"s + raw(std::uint32_t{0xffffffff}) + "a";
  const struct {
    std::string pickle, reason;
  } cases[] = {
      {"", "the pickle has no end"},
      {"\x80\x02", "the pickle has no end"},
      {"\x80\x06N.", "pickles of protocol 6 are not read"},
      {"\x80\x02(", "the pickle has no end"},
      {"\x80\x02(.", "a value is missing"},
      {"\x80\x02.", "a value is missing"},
      {"\x80\x02NN.", "more than one value"},
      {"\x80\x02"s + long_text + ".", "the pickle has no end"},
      {"\x80\x02t.", "a mark is missing"},
      {"\x80\x02h\x05.", "value 5 is used before there is one"},
      {"\x80\x02I1\n.", "operation 0x49 is none that tensors need"},
      {"\x80\x02Na.", "a value is missing"},
      {"\x80\x02N(Ne.", "appended to what is no list"},
      {"\x80\x02](N Nu.", "operation 0x20"},
      {"\x80\x02](NNu.", "in what is no dictionary"},
      {"\x80\x02}(Nu.", "in what is no dictionary"},
      {"\x80\x02"
       "cbuiltins\neval\n(" +
           text_op("1") + "tR.",
       R"(it calls "builtins.eval")"},
      {"\x80\x02"s + text_op("os") + text_op("system") + "\x93)R.", R"(it calls "os.system")"},
      {"\x80\x02"
       "cos\nsystem\n)\x81.",
       R"(it calls "os.system")"},
      {"\x80\x02N)R.", "a call of what is no function"},
      {"\x80\x02"
       "cos"s +
           std::string(2000, 'a'),
       "a name without an end"},
      {"\x80\x02]q\x01h\x01"
       "a.",
       "nested more than 64 deep"},
      {"\x80\x02"s + std::string(80, ']') + std::string(79, 'a') + ".", "nested more than 64 deep"},
      {"\x80\x02"
       "ctorch._utils\n_rebuild_tensor_v2\n)R.",
       "a tensor without storage"},
      {"\x80\x02}("s + text_op("a") + "N" + text_op("a") + "Nu.", R"(two values are named "a")"},
  };
  for (const auto& [pickle, reason] : cases) check_pickle_refused(pickle, reason);
}

TEST_CASE("torch: values that multiply are refused in no time to speak of") {
  // Every tuple holds the one before it twice.
  std::string pickle = "\x80\x02]";
  for (int i = 0; i < 60; ++i) pickle += "q\x01h\x01\x86";
  check_pickle_refused(pickle + ".", "more than 4000000 values");
  pickle = "\x80\x02X" + raw(std::uint32_t{1 << 20}) + std::string(1 << 20, 'a') + "q\x01](";
  for (int i = 0; i < 1000; ++i) pickle += "h\x01";
  check_pickle_refused(pickle + "e\x86.", "repeat the same memory too often");
}

TEST_CASE("torch: archives that are not PyTorch's") {
  const TempFile file;
  const std::string good = dict_of(tensor_op(2, 0, {2}, {1}));
  write_archive(file, good, {{"0", "12345678"}}, {{"y/data.pkl", "N."}});
  check_refused(file, "not one of PyTorch");
  write_archive(file, good, {{"0", "12345678"}}, {{"x/byteorder", "big"}});
  check_refused(file, "big-endian");
  write_archive(file, good, {{"0", "12345678"}}, {{"x/data/0", "12345678"}});
  check_refused(file, R"(two entries are named "x/data/0")");
  write_archive(file, good, {{"0", "12345678"}});
  const std::string whole = file.bytes();
  std::string damaged = whole;
  damaged[whole.find("12345678")] = 'x';
  file.write(damaged);
  check_refused(file, "CRC");
  for (const std::size_t length : {std::size_t{4}, whole.size() / 2, whole.size() - 1}) {
    file.write(whole.substr(0, length));
    check_refused(file, "not a whole zip archive");
  }
}

TEST_CASE("torch: types that PyTorch has no storage of, places that cannot be written") {
  const TempFile file;
  const StoredTensor odd{"F8_E4M3", {1}, [] { return std::vector<std::byte>(1); }};
  CHECK_THROWS_WITH_AS(write_torch_file(file.path(), {TorchDict{{"a.w", {odd}}}}),
                       doctest::Contains(R"(tensor "a.w" is of type "F8_E4M3")"), UserError);
  CHECK_FALSE(fs::exists(file.path()));
  CHECK_THROWS_AS(write_torch_file(file.path() / "no folder", {}), Error);
  const StoredTensor broken{"F32", {1}, []() -> std::vector<std::byte> { user_error("damaged"); }};
  CHECK_THROWS_AS(write_torch_file(file.path(), {broken}), UserError);
  CHECK_FALSE(fs::exists(file.path()));
}

TEST_CASE("torch: 2000 mutations of each form") {
  for (const char* name : {"state.pth", "legacy.pth"}) {
    const TempFile file;
    file.write(TempFile::content(kFiles / name));
    fuzz(file, [](const fs::path& path) { read_weights(path); });
  }
}
