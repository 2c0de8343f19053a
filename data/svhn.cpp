#include "data/svhn.h"

#include <fmt/ranges.h>
#include <matio.h>
#include <zlib.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr int64_t side = 32, channels = 3, image_size = side * side * channels;
constexpr int64_t max_file_bytes = int64_t{4} << 30;  // the largest part, "extra", has 1.3 GB
constexpr int64_t max_deflate_ratio = 1032;           // what zlib, used inside the file, can reach at best

struct CloseFile {
  void operator()(mat_t* file) const { Mat_Close(file); }
};
struct FreeVariable {
  void operator()(matvar_t* variable) const { Mat_VarFree(variable); }
};
using MatFile = std::unique_ptr<mat_t, CloseFile>;
using MatVariable = std::unique_ptr<matvar_t, FreeVariable>;

[[noreturn]] void bad_file(const fs::path& path, const std::string& what) {
  user_error(fmt::format("'{}' {}", path.string(), what),
             "take the cropped digits (format 2) from http://ufldl.stanford.edu/housenumbers/");
}

/// Whether `stream` is one whole zlib stream whose checksum holds.
bool inflates(std::span<const std::byte> stream) {
  std::vector<Bytef> discarded(1 << 16);
  z_stream z{};
  z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(stream.data()));  // zlib does not write to it
  z.avail_in = static_cast<uInt>(stream.size());
  if (inflateInit(&z) != Z_OK) return false;
  int code = Z_OK;
  while (code == Z_OK) {
    z.next_out = discarded.data();
    z.avail_out = static_cast<uInt>(discarded.size());
    code = inflate(&z, Z_NO_FLUSH);
  }
  inflateEnd(&z);
  return code == Z_STREAM_END && z.avail_in == 0;
}

/// Throws unless the file is a whole MATLAB 5 file: a header of 128 bytes, then elements up to the file's
/// end, each a type, a size and `size` bytes. Needed because matio returns what it finds of a truncated file,
/// and does not compare the checksums of compressed elements.
void check_elements(const fs::path& path) {
  const std::vector<std::byte> file = read_file(path, max_file_bytes);
  const auto byte = [&](size_t at) { return std::to_integer<uint32_t>(file[at]); };
  const bool little = file.size() >= 128 && byte(125) == 1 && byte(126) == 'I' && byte(127) == 'M';
  const bool big = file.size() >= 128 && byte(124) == 1 && byte(126) == 'M' && byte(127) == 'I';
  if (!little && !big) bad_file(path, "is not a MATLAB 5 file");
  const auto number = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | byte(little ? at + 3 - i : at + i);
    return value;
  };
  for (size_t at = 128; at < file.size();) {
    const size_t left = file.size() - at;
    if (left < 8 || number(at + 4) > left - 8)
      bad_file(path, fmt::format("is truncated: its {} bytes end within an element", file.size()));
    const size_t size = number(at + 4);
    if (number(at) == MAT_T_COMPRESSED && !inflates(std::span(file).subspan(at + 8, size)))
      bad_file(path, fmt::format("is damaged: its element at byte {} does not unpack", at));
    at += 8 + size;
  }
}

/// Opens a MATLAB 5 file; the other kinds matio knows are refused before it looks at them.
MatFile open_mat(const fs::path& path) {
  check_elements(path);
  MatFile file(Mat_Open(path.c_str(), MAT_ACC_RDONLY));
  if (!file) bad_file(path, "cannot be read as a MATLAB file");
  return file;
}

/// How many images X holds, after checking that it is what it should be and that the file can hold it.
int64_t count_images(const fs::path& path, const matvar_t& x) {
  const std::span dims(x.dims, static_cast<size_t>(x.rank));
  const bool right_shape = (dims.size() == 3 || dims.size() == 4) &&  // MATLAB drops a last dimension of 1
                           dims[0] == side && dims[1] == side && dims[2] == channels;
  if (!right_shape || x.class_type != MAT_C_UINT8 || x.isComplex)
    bad_file(path, fmt::format("holds an X of {} that is not 32 x 32 x 3 x N bytes", fmt::join(dims, " x ")));
  const size_t n = dims.size() == 4 ? dims[3] : 1;
  if (n == 0 || n > static_cast<size_t>(regular_file_size(path) * max_deflate_ratio / image_size))
    bad_file(path,
             fmt::format("claims {} images, which its {} bytes cannot hold", n, regular_file_size(path)));
  return static_cast<int64_t>(n);
}

void read_data(const fs::path& path, mat_t* file, matvar_t& variable) {
  if (Mat_VarReadDataAll(file, &variable) != 0 || variable.data == nullptr)
    bad_file(path, fmt::format("is damaged or truncated: {} cannot be read", variable.name));
}

/// The digits of y, bytes or doubles; empty when all are 0, which is no label.
std::vector<int32_t> read_labels(const fs::path& path, mat_t* file, int64_t n) {
  const MatVariable y(Mat_VarReadInfo(file, "y"));
  if (!y) return {};
  const bool bytes = y->class_type == MAT_C_UINT8;
  size_t count = 1;
  for (const size_t size : std::span(y->dims, static_cast<size_t>(y->rank))) count *= size;
  if ((!bytes && y->class_type != MAT_C_DOUBLE) || y->isComplex || count != static_cast<size_t>(n))
    bad_file(path, fmt::format("holds {} labels for {} images, or not as numbers", count, n));
  read_data(path, file, *y);
  std::vector<int32_t> labels;
  bool any = false;
  for (size_t i = 0; i < count; ++i) {
    const double label =
        bytes ? static_cast<const uint8_t*>(y->data)[i] : static_cast<const double*>(y->data)[i];
    if (!(label >= 0 && label <= 10))
      bad_file(path, fmt::format("holds the label {}; labels are 1..10", label));
    any |= label > 0;
    labels.push_back(static_cast<int32_t>(label) % 10);
  }
  return any ? labels : std::vector<int32_t>{};
}

/// Column-major 32 x 32 x 3 x N, rows fastest, to N,H,W,C.
std::vector<uint8_t> to_nhwc(const uint8_t* x, int64_t n) {
  std::vector<uint8_t> pixels;
  pixels.reserve(static_cast<size_t>(n * image_size));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t row = 0; row < side; ++row)
      for (int64_t column = 0; column < side; ++column)
        for (int64_t c = 0; c < channels; ++c)
          pixels.push_back(x[i * image_size + (c * side + column) * side + row]);
  return pixels;
}

}  // namespace

Images read_svhn_file(const fs::path& path) {
  const MatFile file = open_mat(path);
  const MatVariable x(Mat_VarReadInfo(file.get(), "X"));
  if (!x) bad_file(path, "holds no variable X");
  const int64_t n = count_images(path, *x);
  read_data(path, file.get(), *x);
  return {n,
          side,
          side,
          channels,
          to_nhwc(static_cast<const uint8_t*>(x->data), n),
          read_labels(path, file.get(), n)};
}

Split read_svhn(const fs::path& dir) {
  const fs::path train = dir / "train_32x32.mat", test = dir / "test_32x32.mat";
  if (!fs::exists(train))
    user_error(fmt::format("no SVHN in '{}': train_32x32.mat is missing", dir.string()),
               "put train_32x32.mat and test_32x32.mat from http://ufldl.stanford.edu/housenumbers/ there");
  Split split;
  split.train = read_svhn_file(train);
  if (fs::exists(test)) split.test = read_svhn_file(test);
  return split;
}

}  // namespace damc
