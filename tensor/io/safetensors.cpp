#include "tensor/io/safetensors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/text.h"

namespace damc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "files are little-endian and read as they are");

constexpr std::int64_t kMaxHeader = 100'000'000;  // bytes; the format's own limit
constexpr const char* kMetadata = "__metadata__";
constexpr std::size_t kMaxFileDims = 64;
constexpr std::size_t kMaxDepth = 32;  // of the header; the format needs three

/// One file being read, and how it is refused.
class Reader : public InputFile {
 public:
  using InputFile::InputFile;

  [[noreturn]] void refuse(const std::string& reason, const char* hint = kDamaged) const {
    user_error(fmt::format("'{}': {}", path().string(), reason), hint);
  }
  [[noreturn]] void refuse_tensor(const std::string& tensor, const std::string& reason,
                                  const char* hint = kDamaged) const {
    refuse(fmt::format("tensor {}: {}", in_quotes(tensor), reason), hint);
  }

 private:
  static constexpr const char* kDamaged = "the file is damaged, cut off or not of this format; get it again";
};

/// The JSON text between the length and the data.
std::string read_header_text(Reader& file) {
  std::uint64_t length = 0;
  if (file.size() < 8) file.refuse(fmt::format("{} bytes are too few for a header length", file.size()));
  file.read(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > kMaxHeader)
    file.refuse(fmt::format("a header of {} bytes; at most {} are allowed", length, kMaxHeader));
  const auto bytes = static_cast<std::int64_t>(length);
  if (bytes > file.size() - 8)
    file.refuse(fmt::format("a header of {} bytes in a file of {}", bytes, file.size()));
  std::string text(static_cast<std::size_t>(bytes), '\0');
  file.read(8, std::as_writable_bytes(std::span(text)));
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
    keys_.back().push_back(std::move(name));
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override { return false; }

 private:
  bool enter() {
    if (keys_.size() == kMaxDepth) file_.refuse("the header nests too deeply");
    keys_.emplace_back();
    return true;
  }
  /// Sorted, for millions of keys: one by one in a set, each would cost a miss of the cache.
  bool leave() {
    std::ranges::sort(keys_.back());
    const auto twice = std::ranges::adjacent_find(keys_.back());
    if (twice != keys_.back().end())
      file_.refuse(fmt::format("the header gives the key {} twice", in_quotes(*twice)));
    keys_.pop_back();
    return true;
  }

  const Reader& file_;
  std::vector<std::vector<std::string>> keys_;  // of every object that is open
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
  const std::int64_t bits = bits_of(entry.dtype);
  if (bits == 0) file.refuse_tensor(tensor, fmt::format("there is no dtype {}", in_quotes(entry.dtype)));
  const json& offsets = value["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !as_count(offsets[0], entry.begin) ||
      !as_count(offsets[1], entry.end) || entry.begin > entry.end)
    file.refuse_tensor(tensor, "data_offsets are not two natural numbers in ascending order");
  const std::int64_t needed = (entry.numel * bits + 7) / 8;
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
      if (!content.is_string()) file.refuse(fmt::format("the metadata's {} is not a string", in_quotes(key)));
      header.metadata.emplace(key, content);
    }
  }
  check_ranges(file, header);
  return header;
}

}  // namespace

SafetensorsHeader read_safetensors_header(const fs::path& path) {
  Reader file(path);
  return read_header(file);
}

StoredWeights open_safetensors(const fs::path& path) {
  const auto file = std::make_shared<Reader>(path);
  const SafetensorsHeader header = read_header(*file);
  StoredWeights out{"safetensors", {}, header.metadata, {}};
  for (const auto& [name, entry] : header.tensors) {
    const std::int64_t at = header.data_start + entry.begin, bytes = entry.end - entry.begin;
    out.tensors[name] = {entry.dtype, entry.shape, [file, at, bytes] { return file->read(at, bytes); }};
  }
  return out;
}

Weights read_safetensors(const fs::path& path) { return read_all(open_safetensors(path)); }

void write_safetensors(const fs::path& path, const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  StoredWeights all{"safetensors", {}, metadata, {}};
  for (const auto& [name, tensor] : tensors) {
    ENSURE(tensor.defined(), "'{}': tensor {} is undefined", path.string(), in_quotes(name));
    all.tensors.emplace(name, stored(tensor));
  }
  write_safetensors_stream(path, all);
}

void write_safetensors_stream(const fs::path& path, const StoredWeights& weights) {
  json header = json::object();
  if (!weights.metadata.empty()) header[kMetadata] = weights.metadata;
  std::int64_t end = 0;
  for (const auto& [name, tensor] : weights.tensors) {
    if (name == kMetadata) user_error(fmt::format("'{}': no tensor can be named {}", path.string(), name));
    const std::int64_t begin = end;
    end += tensor.bytes();
    header[name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
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
  for (const auto& [name, tensor] : weights.tensors) file.write(tensor.read());
  file.commit();
}

}  // namespace damc
