#include "tensor/io/stored_tensor.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "tensor/f16.h"

namespace damc {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian and read as they are");

using Bytes = std::span<const std::byte>;

/// Elements of type Stored as those of a tensor of Held.
template <class Stored, class Held>
Tensor hold(Bytes bytes, const Shape& shape) {
  const Tensor out = Tensor::empty(shape, dtype_of<Held>());
  Held* to = out.data<Held>();
  if constexpr (std::is_same_v<Stored, Held>) {
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  } else {
    for (; !bytes.empty(); bytes = bytes.subspan(sizeof(Stored))) {
      Stored value;
      std::memcpy(&value, bytes.data(), sizeof value);
      *to++ = static_cast<Held>(value);
    }
  }
  return out;
}

/// An IEEE half, which nothing but files holds.
struct Half {
  std::uint16_t bits;
  explicit operator float() const { return from_f16(bits); }
};

struct FileType {
  std::string_view name;
  std::int64_t bits;                            // of one element
  Tensor (*hold)(Bytes bytes, const Shape& s);  // null: of no type that a Tensor has
};
constexpr FileType kTypes[] = {{"F32", 32, hold<float, float>},
                               {"F64", 64, hold<double, double>},
                               {"I64", 64, hold<std::int64_t, std::int64_t>},
                               {"F16", 16, hold<Half, float>},
                               {"BF16", 16, hold<bf16, float>},
                               {"BOOL", 8, hold<std::uint8_t, std::int64_t>},
                               {"U8", 8, hold<std::uint8_t, std::int64_t>},
                               {"I8", 8, hold<std::int8_t, std::int64_t>},
                               {"U16", 16, hold<std::uint16_t, std::int64_t>},
                               {"I16", 16, hold<std::int16_t, std::int64_t>},
                               {"U32", 32, hold<std::uint32_t, std::int64_t>},
                               {"I32", 32, hold<std::int32_t, std::int64_t>},
                               {"U64", 64, nullptr},
                               {"C64", 64, nullptr},
                               {"F8_E5M2", 8, nullptr},
                               {"F8_E4M3", 8, nullptr},
                               {"F8_E8M0", 8, nullptr},
                               {"F6_E2M3", 6, nullptr},
                               {"F6_E3M2", 6, nullptr},
                               {"F4", 4, nullptr}};

const FileType* find_type(std::string_view dtype) {
  const auto* found = std::ranges::find(kTypes, dtype, &FileType::name);
  return found == std::end(kTypes) ? nullptr : found;
}

}  // namespace

std::int64_t StoredTensor::numel() const {
  std::int64_t product = 1;
  for (const std::int64_t size : shape) product *= size;
  return product;
}

std::int64_t StoredTensor::bytes() const { return (numel() * bits_of(dtype) + 7) / 8; }

std::int64_t bits_of(std::string_view dtype) {
  const FileType* type = find_type(dtype);
  return type ? type->bits : 0;
}

Tensor to_tensor(const StoredTensor& stored) {
  const FileType* type = find_type(stored.dtype);
  if (!type || !type->hold || stored.shape.size() > kMaxDims) return {};
  Shape shape;
  for (const std::int64_t size : stored.shape) shape.push_back(size);
  return type->hold(stored.read(), shape);
}

Weights read_all(const StoredWeights& stored) {
  Weights weights{{}, stored.metadata};
  for (const auto& [name, tensor] : stored.tensors) weights.tensors.emplace(name, to_tensor(tensor));
  return weights;
}

StoredTensor stored(const Tensor& tensor) {
  constexpr const char* names[] = {"F32", "F64", "BF16", "I64"};
  const auto read = [tensor] {
    const Tensor block = tensor.to(Device{}).contiguous();
    const auto* first = static_cast<const std::byte*>(block.raw());
    return std::vector(first, first + static_cast<std::size_t>(block.numel()) * size_of(block.dtype()));
  };
  const Shape& shape = tensor.shape();
  return {names[static_cast<int>(tensor.dtype())], {shape.begin(), shape.end()}, read};
}

}  // namespace damc
