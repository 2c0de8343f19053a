#include "tensor/io/safetensors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "tensor/error.h"
#include "tensor/f16.h"
#include "tensor/io/file.h"

namespace damc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "files are little-endian and read as they are");

constexpr std::int64_t kMaxHeader = 100'000'000;  // bytes; the format's own limit
constexpr const char* kMetadata = "__metadata__";
constexpr std::size_t kMaxFileDims = 64;
constexpr std::size_t kMaxDepth = 32;  // of the header; the format needs three

struct FileType {
  const char* name;
  std::int64_t bits;  // of one element
};
constexpr FileType kTypes[] = {{"F32", 32}, {"F64", 64},    {"I64", 64},    {"F16", 16},    {"BF16", 16},
                               {"BOOL", 8}, {"U8", 8},      {"I8", 8},      {"U16", 16},    {"I16", 16},
                               {"U32", 32}, {"I32", 32},    {"U64", 64},    {"F8_E5M2", 8}, {"F4", 4},
                               {"C64", 64}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}};

const char* file_type(Dtype dtype) {
  constexpr const char* names[] = {"F32", "F64", "BF16", "I64"};
  return names[static_cast<int>(dtype)];
}

/// A string from a file as it may appear in a message: in quotes, on one line, of bounded length.
std::string printable(const std::string& text) {
  constexpr std::size_t longest = 100;
  const std::string escaped =
      json(text.substr(0, longest)).dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > longest ? escaped + "..." : escaped;
}

/// One file being read, and how it is refused.
class Reader {
 public:
  explicit Reader(const fs::path& path)
      : path_(path), size_(regular_file_size(path)), stream_(path, std::ios::binary) {
    if (!stream_) user_error(fmt::format("cannot open '{}'", path.string()));
  }

  std::int64_t size() const { return size_; }

  /// Fills `bytes` bytes from position `at` on; the caller has checked them against size().
  void read(std::int64_t at, void* to, std::int64_t bytes) {
    stream_.seekg(at);
    stream_.read(static_cast<char*>(to), bytes);
    if (stream_.gcount() != bytes) refuse(fmt::format("{} bytes at {} could not be read", bytes, at));
  }

  [[noreturn]] void refuse(const std::string& reason, const char* hint = kDamaged) const {
    user_error(fmt::format("'{}': {}", path_.string(), reason), hint);
  }
  [[noreturn]] void refuse_tensor(const std::string& tensor, const std::string& reason,
                                  const char* hint = kDamaged) const {
    refuse(fmt::format("tensor {}: {}", printable(tensor), reason), hint);
  }

 private:
  static constexpr const char* kDamaged = "the file is damaged, cut off or not of this format; get it again";

  const fs::path& path_;
  std::int64_t size_;
  std::ifstream stream_;
};

/// The JSON text between the length and the data.
std::string read_header_text(Reader& file) {
  std::uint64_t length = 0;
  if (file.size() < 8) file.refuse(fmt::format("{} bytes are too few for a header length", file.size()));
  file.read(0, &length, 8);
  if (length > kMaxHeader)
    file.refuse(fmt::format("a header of {} bytes; at most {} are allowed", length, kMaxHeader));
  const auto bytes = static_cast<std::int64_t>(length);
  if (bytes > file.size() - 8)
    file.refuse(fmt::format("a header of {} bytes in a file of {}", bytes, file.size()));
  std::string text(static_cast<std::size_t>(bytes), '\0');
  file.read(8, text.data(), bytes);
  return text;
}

/// Refuses what the parser would let pass: keys given twice, of which one would be lost, and endless nesting.
class HeaderGuard : public json::json_sax_t {
 public:
  explicit HeaderGuard(const Reader& file) : file_(file) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(json::binary_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(std::string& name) override {
    if (!keys_.back().insert(name).second)
      file_.refuse(fmt::format("the header gives the key {} twice", printable(name)));
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override { return false; }

 private:
  bool enter() {
    if (keys_.size() == kMaxDepth) file_.refuse("the header nests too deeply");
    keys_.emplace_back();
    return true;
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }

  const Reader& file_;
  std::vector<std::unordered_set<std::string>> keys_;  // of every object that is open
};

json parse_header(const Reader& file, const std::string& text) {
  if (!text.starts_with('{')) file.refuse("the header does not start with '{'");
  // The parser would take a zero byte for the end of the text and not see what follows.
  if (text.find('\0') != std::string::npos) file.refuse("the header contains a zero byte");
  HeaderGuard guard(file);
  if (!json::sax_parse(text, &guard)) file.refuse("the header is not valid JSON");
  return json::parse(text);
}

/// A JSON number as a count. False for anything but an integer from 0 to 2^63 - 1.
bool as_count(const json& value, std::int64_t& count) {
  if (!value.is_number_unsigned()) return false;
  const auto number = value.get<std::uint64_t>();
  count = static_cast<std::int64_t>(number);
  return number <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
}

/// The sizes of a tensor. They multiply without overflow, sizes of 0 left out: strides are products too.
std::vector<std::int64_t> parse_shape(const Reader& file, const std::string& tensor, const json& sizes) {
  if (!sizes.is_array()) file.refuse_tensor(tensor, "the shape is not a list");
  if (sizes.size() > kMaxFileDims)
    file.refuse_tensor(tensor, fmt::format("{} dimensions; at most {} are read", sizes.size(), kMaxFileDims));
  std::vector<std::int64_t> shape;
  std::int64_t bits = 64;
  for (const json& value : sizes) {
    std::int64_t size = 0;
    if (!as_count(value, size)) file.refuse_tensor(tensor, "a size in the shape is not a natural number");
    if (__builtin_mul_overflow(bits, std::max<std::int64_t>(size, 1), &bits))
      file.refuse_tensor(tensor, "the shape has more elements than can be counted");
    shape.push_back(size);
  }
  return shape;
}

/// Fields beside the three are of a later version of the format, and none of ours.
SafetensorsEntry parse_entry(const Reader& file, const std::string& tensor, const json& value) {
  if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets"))
    file.refuse_tensor(tensor, "the entry needs dtype, shape and data_offsets");
  if (!value["dtype"].is_string()) file.refuse_tensor(tensor, "the dtype is not a string");
  SafetensorsEntry entry{value["dtype"], parse_shape(file, tensor, value["shape"]), 1, 0, 0};
  for (const std::int64_t size : entry.shape) entry.numel *= size;
  const auto type = std::ranges::find(kTypes, entry.dtype, &FileType::name);
  if (type == std::end(kTypes))
    file.refuse_tensor(tensor, fmt::format("there is no dtype {}", printable(entry.dtype)));
  const json& offsets = value["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !as_count(offsets[0], entry.begin) ||
      !as_count(offsets[1], entry.end) || entry.begin > entry.end)
    file.refuse_tensor(tensor, "data_offsets are not two natural numbers in ascending order");
  const std::int64_t needed = (entry.numel * type->bits + 7) / 8;
  if (entry.end - entry.begin != needed)
    file.refuse_tensor(
        tensor, fmt::format("data_offsets hold {} bytes, shape [{}] of {} needs {}", entry.end - entry.begin,
                            fmt::join(entry.shape, ", "), entry.dtype, needed));
  return entry;
}

/// The tensors' byte ranges, put in order, must cover the data: no hole, no overlap, nothing beyond the ends.
void check_ranges(const Reader& file, const SafetensorsHeader& header) {
  using Item = std::map<std::string, SafetensorsEntry>::value_type;
  std::vector<const Item*> order;
  for (const Item& item : header.tensors) order.push_back(&item);
  std::ranges::sort(order, {},
                    [](const Item* item) { return std::pair(item->second.begin, item->second.end); });
  std::int64_t end = 0;
  for (const Item* item : order) {
    if (item->second.begin != end)
      file.refuse_tensor(item->first, fmt::format("its data begins at {}, {} at {}", item->second.begin,
                                                  item->second.begin < end ? "inside a range that ends"
                                                                           : "after a hole that begins",
                                                  end));
    end = item->second.end;
  }
  const std::int64_t data = file.size() - header.data_start;
  if (end != data) file.refuse(fmt::format("the tensors take {} bytes, the file holds {}", end, data));
}

SafetensorsHeader read_header(Reader& file) {
  const std::string text = read_header_text(file);
  SafetensorsHeader header{{}, {}, 8 + static_cast<std::int64_t>(text.size())};
  const json parsed = parse_header(file, text);
  for (const auto& [name, value] : parsed.items()) {
    if (name != kMetadata) {
      header.tensors.emplace(name, parse_entry(file, name, value));
      continue;
    }
    if (value.is_null()) continue;
    if (!value.is_object()) file.refuse("the metadata is not an object");
    for (const auto& [key, content] : value.items()) {
      if (!content.is_string()) file.refuse(fmt::format("the metadata's {} is not a string", printable(key)));
      header.metadata.emplace(key, content);
    }
  }
  check_ranges(file, header);
  return header;
}

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

/// A tensor's content; undefined when it is of a kind that Tensor is not.
Tensor read_tensor(Reader& file, std::int64_t at, const SafetensorsEntry& entry) {
  if (entry.shape.size() > kMaxDims) return {};
  Shape shape;
  for (const std::int64_t size : entry.shape) shape.push_back(size);
  const std::int64_t bytes = entry.end - entry.begin;
  if (entry.dtype == "F16" || entry.dtype == "BF16") {
    std::vector<std::uint16_t> halves(static_cast<std::size_t>(bytes) / 2);
    file.read(at, halves.data(), bytes);
    std::vector<float> values(halves.size());
    std::ranges::transform(halves, values.begin(), entry.dtype == "F16" ? from_f16 : from_bf16);
    return Tensor::from(values, shape);
  }
  for (const Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::i64}) {
    if (entry.dtype != file_type(dtype)) continue;
    const Tensor out = Tensor::empty(shape, dtype);
    file.read(at, out.raw(), bytes);
    return out;
  }
  return {};
}

}  // namespace

SafetensorsHeader read_safetensors_header(const fs::path& path) {
  Reader file(path);
  return read_header(file);
}

SafetensorsFile read_safetensors(const fs::path& path) {
  Reader file(path);
  const SafetensorsHeader header = read_header(file);
  SafetensorsFile out{{}, header.metadata};
  for (const auto& [name, entry] : header.tensors)
    out.tensors.emplace(name, read_tensor(file, header.data_start + entry.begin, entry));
  return out;
}

void write_safetensors(const fs::path& path, const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::int64_t end = 0;
  for (const auto& [name, tensor] : tensors) {
    ENSURE(tensor.defined(), "'{}': tensor {} is undefined", path.string(), printable(name));
    if (name == kMetadata) user_error(fmt::format("'{}': no tensor can be named {}", path.string(), name));
    const std::int64_t begin = end;
    end += tensor.numel() * static_cast<std::int64_t>(size_of(tensor.dtype()));
    header[name] = {{"dtype", file_type(tensor.dtype())},
                    {"shape", std::vector(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {begin, end}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception&) {
    user_error(fmt::format("'{}': a tensor's name or the metadata is not UTF-8 text", path.string()));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();

  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(std::as_bytes(std::span(text)));
  for (const auto& [name, tensor] : tensors) {
    const Tensor block = tensor.to(Device{}).contiguous();
    const auto bytes = static_cast<std::size_t>(block.numel()) * size_of(block.dtype());
    file.write({static_cast<const std::byte*>(block.raw()), bytes});
  }
  file.commit();
}

}  // namespace damc
