#include "tensor/io/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/error.h"
#include "tensor/f16.h"
#include "tensor/io/file.h"
#include "tensor/text.h"

namespace damc {
namespace {

namespace fs = std::filesystem;
using Bytes = std::span<const std::byte>;

static_assert(std::endian::native == std::endian::little, "files are little-endian and read as they are");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = 1 << 16;

/// Messages begin with `where`.
[[noreturn]] void refuse(const std::string& where, const std::string& reason, const std::string& hint = "") {
  user_error(where + ": " + reason, hint);
}

/// Elements of type Stored as those of a tensor; the file's bytes have any alignment and either order.
template <class Stored, class Held>
void convert(Bytes data, Held* to, bool swapped) {
  for (; !data.empty(); data = data.subspan(sizeof(Stored))) {
    std::byte bytes[sizeof(Stored)];
    std::memcpy(bytes, data.data(), sizeof bytes);
    if (swapped) std::ranges::reverse(bytes);
    Stored value;
    std::memcpy(&value, bytes, sizeof bytes);
    if constexpr (std::is_same_v<Held, float> && std::is_same_v<Stored, std::uint16_t>) {
      *to++ = from_f16(value);
    } else {
      *to++ = static_cast<Held>(value);
    }
  }
}

template <class Stored, class Held>
Tensor hold(Bytes data, const Shape& shape, bool swapped) {
  const Tensor out = Tensor::empty(shape, dtype_of<Held>());
  convert<Stored>(data, out.data<Held>(), swapped);
  return out;
}

/// What numpy calls a type, its size in bytes, and how it becomes a tensor.
struct Kind {
  std::string_view code;
  std::size_t size;
  Tensor (*read)(Bytes data, const Shape& shape, bool swapped);
};
constexpr Kind kKinds[] = {
    {"f2", 2, hold<std::uint16_t, float>},
    {"f4", 4, hold<float, float>},
    {"f8", 8, hold<double, double>},
    {"i1", 1, hold<std::int8_t, std::int64_t>},
    {"i2", 2, hold<std::int16_t, std::int64_t>},
    {"i4", 4, hold<std::int32_t, std::int64_t>},
    {"i8", 8, hold<std::int64_t, std::int64_t>},
    {"u1", 1, hold<std::uint8_t, std::int64_t>},
    {"u2", 2, hold<std::uint16_t, std::int64_t>},
    {"u4", 4, hold<std::uint32_t, std::int64_t>},
    {"u8", 8, hold<std::uint64_t, std::int64_t>},
};

/// How a file holds its elements.
struct Stored {
  Kind kind;
  bool big_endian;
};

/// Reads the header's dictionary, `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, and no other
/// Python.
class HeaderParser {
 public:
  HeaderParser(const std::string& where, std::string_view text) : where_(where), text_(text) {}

  void parse() {
    expect('{');
    while (!accept('}')) {
      parse_item();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!text_.empty()) fail("something follows the dictionary");
    if (!stored_ || !fortran_order_ || !shape_) fail("descr, fortran_order or shape is missing");
  }

  const Stored& stored() const { return *stored_; }
  bool fortran_order() const { return *fortran_order_; }
  const Shape& shape() const { return *shape_; }

 private:
  void parse_item() {
    const std::string_view key = parse_string();
    expect(':');
    if (key == "descr") {
      set(stored_, parse_dtype());
    } else if (key == "fortran_order") {
      set(fortran_order_, parse_bool());
    } else if (key == "shape") {
      set(shape_, parse_shape());
    } else {
      fail("an unknown key");
    }
  }

  template <class T>
  void set(std::optional<T>& field, const T& value) {
    if (field) fail("a key twice");
    field = value;
  }

  std::string_view parse_string() {
    skip_space();
    const char quote = text_.starts_with('"') ? '"' : '\'';
    expect(quote);
    const std::size_t length = text_.find(quote);
    if (length == text_.npos) fail("a string without an end");
    const std::string_view value = text_.substr(0, length);
    text_.remove_prefix(length + 1);
    return value;
  }

  Stored parse_dtype() {
    skip_space();
    if (text_.starts_with('[')) fail_dtype("a structured dtype");
    const std::string_view descr = parse_string();
    const std::string_view order = descr.substr(0, descr.find_first_not_of("<>|="));
    const auto kind = std::ranges::find(kKinds, descr.substr(order.size()), &Kind::code);
    if (kind != std::end(kKinds) && order.size() <= 1) return {*kind, order == ">"};
    fail_dtype(fmt::format("dtype '{}'", escaped(descr.substr(0, 40))));
  }

  bool parse_bool() {
    skip_space();
    const bool value = text_.starts_with("True");
    if (!value && !text_.starts_with("False")) fail("fortran_order is neither True nor False");
    text_.remove_prefix(value ? 4 : 5);
    return value;
  }

  /// A tuple. Its sizes multiply without overflow, sizes of 0 left out: strides are products too.
  Shape parse_shape() {
    Shape shape;
    std::int64_t bytes = 8;
    expect('(');
    while (!accept(')')) {
      const std::int64_t size = parse_size();
      if (__builtin_mul_overflow(bytes, std::max<std::int64_t>(size, 1), &bytes))
        fail("the shape has more elements than can be counted");
      if (shape.ndim() == kMaxDims) fail(fmt::format("more than {} dimensions", kMaxDims));
      shape.push_back(size);
      if (!accept(',')) {
        if (shape.ndim() == 1) fail("the shape is not a tuple");
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::int64_t parse_size() {
    skip_space();
    std::int64_t size = -1;
    const auto [stop, failure] = std::from_chars(text_.data(), text_.data() + text_.size(), size);
    if (failure != std::errc{} || size < 0) fail("a size in the shape is not a natural number");
    text_.remove_prefix(static_cast<std::size_t>(stop - text_.data()));
    if (text_.starts_with('L')) text_.remove_prefix(1);  // how Python 2 wrote its long integers
    return size;
  }

  void skip_space() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t\n"), text_.size())); }

  bool accept(char symbol) {
    skip_space();
    if (!text_.starts_with(symbol)) return false;
    text_.remove_prefix(1);
    return true;
  }

  void expect(char symbol) {
    if (!accept(symbol)) fail(fmt::format("no {} where one is due", symbol));
  }

  [[noreturn]] void fail(const std::string& reason) const {
    refuse(where_, "bad .npy header: " + reason, "write it again with numpy.save");
  }
  [[noreturn]] void fail_dtype(const std::string& what) const {
    refuse(where_, what + " is not supported", "save array.astype(numpy.float32) instead");
  }

  const std::string& where_;
  std::string_view text_;  // what is not yet read
  std::optional<Stored> stored_;
  std::optional<bool> fortran_order_;
  std::optional<Shape> shape_;
};

/// Takes the first `count` bytes off `rest`.
Bytes take(const std::string& where, Bytes& rest, std::size_t count) {
  if (rest.size() < count) refuse(where, "the file ends within the .npy header");
  const Bytes front = rest.first(count);
  rest = rest.subspan(count);
  return front;
}

std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Takes everything before the data off `rest`; the dictionary's text.
std::string_view take_header(const std::string& where, Bytes& rest) {
  if (!as_text(rest).starts_with(kMagic))
    refuse(where, "not a .npy file", "write one array with numpy.save, also one of an .npz file");
  take(where, rest, kMagic.size());
  const Bytes version = take(where, rest, 2);
  const auto major = std::to_integer<int>(version[0]), minor = std::to_integer<int>(version[1]);
  if (major < 1 || major > 3 || minor != 0)
    refuse(where, fmt::format("version {}.{} of .npy is not supported", major, minor));
  std::uint32_t length = 0;
  const std::size_t width = major == 1 ? 2 : 4;
  std::memcpy(&length, take(where, rest, width).data(), width);
  if (length > kMaxHeader)
    refuse(where, fmt::format("a .npy header of {} bytes; at most {} are accepted", length, kMaxHeader));
  return as_text(take(where, rest, length));
}

/// Unsigned numbers of 64 bits that a signed one does not hold have become negative.
Tensor checked(const std::string& where, const Kind& kind, const Tensor& values) {
  if (kind.code != "u8") return values;
  const std::span<const std::int64_t> numbers(values.data<std::int64_t>(),
                                              static_cast<std::size_t>(values.numel()));
  if (std::ranges::any_of(numbers, [](std::int64_t number) { return number < 0; }))
    refuse(where, "a number of 2^63 or more", "save array.astype(numpy.float64) instead");
  return values;
}

}  // namespace

Tensor read_npy(const fs::path& path) {
  return parse_npy(fmt::format("'{}'", path.string()),
                   read_file(path, std::numeric_limits<std::int64_t>::max()));
}

Tensor parse_npy(const std::string& where, Bytes content) {
  Bytes rest = content;
  HeaderParser header(where, take_header(where, rest));
  header.parse();
  const auto& [kind, big_endian] = header.stored();
  const Shape& shape = header.shape();
  const std::size_t bytes = static_cast<std::size_t>(shape.numel()) * kind.size;
  if (rest.size() != bytes)
    refuse(where, fmt::format("{} bytes of data, but shape {} of {} needs {}", rest.size(), shape.str(),
                              kind.code, bytes));
  if (!header.fortran_order()) return checked(where, kind, kind.read(rest, shape, big_endian));
  // The first index runs fastest: the array of the reversed shape, transposed.
  Shape reversed, order;
  for (int i = shape.ndim() - 1; i >= 0; --i) {
    reversed.push_back(shape[i]);
    order.push_back(i);
  }
  return checked(where, kind, kind.read(rest, reversed, big_endian)).permute(order).contiguous();
}

void write_npy(const fs::path& path, const Tensor& tensor) {
  ENSURE(tensor.defined(), "'{}': the tensor is undefined", path.string());
  ENSURE(tensor.dtype() != Dtype::bf16, "'{}': npy has no bf16; cast to f32", path.string());
  const Tensor block = tensor.to(Device{}).contiguous();
  // Python writes a tuple of one with a comma: (3,)
  const Shape& shape = block.shape();
  const std::string brackets = shape.str();
  const std::string sizes = brackets.substr(1, brackets.size() - 2) + (shape.ndim() == 1 ? "," : "");
  const char* type = block.dtype() == Dtype::f32 ? "<f4" : block.dtype() == Dtype::f64 ? "<f8" : "<i8";
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, sizes);
  // Magic, version, length and header together fill whole blocks of 64 bytes; the header ends its last line.
  constexpr std::size_t prefix = 10;
  header.resize((prefix + header.size() + 1 + 63) / 64 * 64 - prefix, ' ');
  header.back() = '\n';
  const auto length = static_cast<std::uint16_t>(header.size());

  AtomicFile file(path);
  file.write(std::as_bytes(std::span(kMagic)));
  file.write(std::as_bytes(std::span("\1\0", 2)));
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(std::as_bytes(std::span(header)));
  const auto bytes = static_cast<std::size_t>(block.numel()) * size_of(block.dtype());
  file.write({static_cast<const std::byte*>(block.raw()), bytes});
  file.commit();
}

}  // namespace damc
