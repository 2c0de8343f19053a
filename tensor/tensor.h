/// Tensor: a typed, strided view of a storage. Copying a Tensor copies the handle, never the elements.
/// Tensors know nothing of gradients (see autograd/variable.h). Images are N,H,W,C. Asking an undefined tensor for
/// its device or its elements throws Error.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "tensor/device.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace damc {

class Tensor {
 public:
  /// Undefined: no storage.
  Tensor() = default;

  /// Uninitialised, contiguous.
  static Tensor empty(const Shape& shape, Dtype dtype = Dtype::f32, Device device = {});
  static Tensor zeros(const Shape& shape, Dtype dtype = Dtype::f32, Device device = {});
  static Tensor full(const Shape& shape, double value, Dtype dtype = Dtype::f32, Device device = {});
  /// Copies host values (row-major). Throws Error when their number differs from the shape's.
  template <class T>
  static Tensor from(std::span<const T> values, const Shape& shape, Device device = {});
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape, Device device = {}) {
    return from(std::span<const T>(values), shape, device);
  }

  /// A view of memory that someone else owns and that outlives it: what a recording keeps of its operands.
  static Tensor borrow(void* data, const Shape& shape, const Shape& strides, Dtype dtype, Device device);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }
  int ndim() const { return shape_.ndim(); }
  /// Size of dimension i; negative i counts from the end. Throws Error beyond both ends.
  std::int64_t size(int i) const { return shape_[wrap_dim("size", i, shape_)]; }
  /// Elements; of an undefined tensor 0.
  std::int64_t numel() const { return storage_ ? shape_.numel() : 0; }
  Dtype dtype() const { return dtype_; }
  Device device() const { return storage().device(); }
  bool is_contiguous() const;
  /// Whether another tensor uses the same memory.
  bool is_shared() const { return storage_.use_count() > 1; }

  /// First element, in the device's memory; where the others are, strides() say. Throws Error unless T is the
  /// tensor's type.
  template <class T>
  T* data() const {
    if (dtype_ != dtype_of<T>()) refuse_type(dtype_of<T>());
    return static_cast<T*>(raw());
  }
  void* raw() const {
    return static_cast<std::byte*>(storage().data()) + offset_ * static_cast<std::int64_t>(size_of(dtype_));
  }
  /// Host values in row-major order, converted to T; waits for the device.
  template <class T>
  std::vector<T> to_vector() const;
  /// The value of a one-element tensor, of i64 to the nearest double; waits for the device. Throws Error otherwise.
  double item() const;

  // Views share the storage. All throw Error with the shapes when the request does not fit.
  /// Same elements, another shape; a view of a contiguous tensor, else a copy. One size may be -1.
  Tensor reshape(const Shape& shape) const;
  /// Dimension i of the result is dimension order[i] of this; negative ones count from the end.
  Tensor permute(const Shape& order) const;
  Tensor transpose(int first, int second) const;
  /// Elements [start, start + length) of dimension `along`.
  Tensor narrow(int along, std::int64_t start, std::int64_t length) const;
  /// Broadcasts to `shape` with stride 0.
  Tensor expand(const Shape& shape) const;

  // Copies.
  Tensor contiguous() const;
  /// A contiguous copy, always.
  Tensor clone() const;
  Tensor to(Dtype dtype) const;
  Tensor to(Device device) const;
  // In place: seen by all tensors that share the memory, recorded computations among them (autograd/variable.h).
  /// Overwrites these elements with those of `source` (broadcast, converted, from any device).
  void copy_from(const Tensor& source) const;
  void fill(double value) const;

 private:
  bool is_same_view(const Tensor& other) const;
  const Storage& storage() const {
    if (!storage_) refuse_undefined();
    return *storage_;
  }
  [[noreturn]] static void refuse_undefined();
  [[noreturn]] void refuse_type(Dtype asked) const;

  std::shared_ptr<Storage> storage_;
  Shape shape_;
  Shape strides_;
  std::int64_t offset_ = 0;
  Dtype dtype_ = Dtype::f32;
};

}  // namespace damc
