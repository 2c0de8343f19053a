#include "tensor/shape.h"

#include <algorithm>

#include "tensor/error.h"

namespace damc {

Shape::Shape(std::initializer_list<std::int64_t> sizes) {
  for (const std::int64_t size : sizes) push_back(size);
}

void Shape::refuse(int i) const { throw Error(fmt::format("shape: no dimension {} in {}", i, str())); }

void Shape::push_back(std::int64_t size) {
  ENSURE(ndim_ < kMaxDims, "shape: more than {} dimensions", kMaxDims);
  sizes_[ndim_++] = size;
}

std::int64_t Shape::numel() const {
  constexpr std::int64_t most = std::int64_t{1} << 59;  // of 8 bytes each fit into 63 bits
  std::int64_t n = 1;
  bool empty = false;
  for (const std::int64_t size : *this) {
    empty |= size == 0;
    // Sizes beside a 0 count as well: strides and parts of the shape are products of theirs.
    ENSURE(!__builtin_mul_overflow(n, size == 0 ? 1 : size, &n) && n <= most,
           "shape: {} has more elements than memory holds", str());
  }
  return empty ? 0 : n;
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

Shape Shape::contiguous_strides() const {
  Shape strides = *this;
  std::int64_t stride = 1;
  for (int i = ndim_ - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= sizes_[i];
  }
  return strides;
}

std::string Shape::str() const {
  std::string text = "[";
  for (int i = 0; i < ndim_; ++i) text += (i ? ", " : "") + std::to_string(sizes_[i]);
  return text + "]";
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  Shape out = a.ndim() >= b.ndim() ? a : b;
  for (int i = 1; i <= std::min(a.ndim(), b.ndim()); ++i) {
    const std::int64_t sa = a[a.ndim() - i], sb = b[b.ndim() - i];
    ENSURE(sa == sb || sa == 1 || sb == 1, "{}: shapes {} and {} do not broadcast", op, a.str(), b.str());
    out[out.ndim() - i] = sa == 1 ? sb : sa;
  }
  return out;
}

int wrap_dim(const char* op, int dim, const Shape& shape) {
  const int wrapped = dim < 0 ? dim + shape.ndim() : dim;
  ENSURE(wrapped >= 0 && wrapped < shape.ndim(), "{}: dimension {} of shape {}", op, dim, shape.str());
  return wrapped;
}

}  // namespace damc
