/// Sizes (or strides) of up to six dimensions, by value.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

namespace damc {

inline constexpr int kMaxDims = 6;

class Shape {
 public:
  Shape() = default;
  /// Throws Error for more than six dimensions.
  Shape(std::initializer_list<std::int64_t> sizes);

  int ndim() const { return ndim_; }
  /// Product of the sizes; 1 for a scalar. Throws Error for more than any memory holds.
  std::int64_t numel() const;

  /// Size i, 0 <= i < ndim(). Throws Error beyond.
  std::int64_t& operator[](int i) { return sizes_[checked(i)]; }
  std::int64_t operator[](int i) const { return sizes_[checked(i)]; }
  /// The last size. Throws Error for a scalar's shape.
  std::int64_t back() const { return (*this)[ndim_ - 1]; }
  /// Appends a dimension. Throws Error beyond six.
  void push_back(std::int64_t size);

  const std::int64_t* begin() const { return sizes_; }
  const std::int64_t* end() const { return sizes_ + ndim_; }
  bool operator==(const Shape& other) const;

  /// Row-major strides of a contiguous tensor of this shape, in elements.
  Shape contiguous_strides() const;
  /// "[2, 3]"
  std::string str() const;

 private:
  int checked(int i) const {
    if (i < 0 || i >= ndim_) refuse(i);
    return i;
  }
  [[noreturn]] void refuse(int i) const;

  std::int64_t sizes_[kMaxDims] = {};
  int ndim_ = 0;
};

/// The shape that a and b broadcast to (numpy's rules). Throws Error naming `op` and both shapes.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

/// Dimension `dim` of `shape`, where -1 is the last. Throws Error naming `op`, the number given and the shape.
int wrap_dim(const char* op, int dim, const Shape& shape);

}  // namespace damc
