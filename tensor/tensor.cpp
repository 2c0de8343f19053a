#include "tensor/tensor.h"

#include "tensor/error.h"

namespace damc {

void Tensor::refuse_undefined() { throw Error("tensor: an undefined tensor has no device and no elements"); }

void Tensor::refuse_type(Dtype asked) const {
  throw Error(
      fmt::format("tensor: the elements of a tensor of {} were asked for as {}", name(dtype_), name(asked)));
}

Tensor Tensor::empty(const Shape& shape, Dtype dtype, Device device) {
  for (const std::int64_t size : shape) ENSURE(size >= 0, "tensor: negative size in {}", shape.str());
  Tensor out;
  out.storage_ = std::make_shared<Storage>(static_cast<std::size_t>(shape.numel()) * size_of(dtype), device);
  out.shape_ = shape;
  out.strides_ = shape.contiguous_strides();
  out.dtype_ = dtype;
  return out;
}

Tensor Tensor::full(const Shape& shape, double value, Dtype dtype, Device device) {
  const Tensor out = empty(shape, dtype, device);
  out.fill(value);
  return out;
}

Tensor Tensor::zeros(const Shape& shape, Dtype dtype, Device device) {
  return full(shape, 0.0, dtype, device);
}

Tensor Tensor::borrow(void* data, const Shape& shape, const Shape& strides, Dtype dtype, Device device) {
  Tensor out;
  out.storage_ = std::make_shared<Storage>(data, 0, device);
  out.shape_ = shape;
  out.strides_ = strides;
  out.dtype_ = dtype;
  return out;
}

bool Tensor::is_contiguous() const {
  std::int64_t expected = 1;
  for (int i = ndim() - 1; i >= 0; --i) {
    if (shape_[i] == 1) continue;
    if (strides_[i] != expected) return false;
    expected *= shape_[i];
  }
  return true;
}

double Tensor::item() const {
  ENSURE(defined(), "item: undefined tensor");
  ENSURE(numel() == 1, "item: tensor of shape {} has {} elements, not one", shape_.str(), numel());
  return dtype_ == Dtype::i64 ? static_cast<double>(to_vector<std::int64_t>()[0]) : to_vector<double>()[0];
}

Tensor Tensor::reshape(const Shape& wanted) const {
  ENSURE(defined(), "reshape: undefined tensor");
  Shape shape = wanted;
  int unknown = -1;
  for (int i = 0; i < shape.ndim(); ++i) {
    if (shape[i] == -1) {
      ENSURE(unknown < 0, "reshape: more than one -1 in {}", wanted.str());
      shape[unknown = i] = 1;
    } else {
      ENSURE(shape[i] >= 0, "reshape: negative size in {}", wanted.str());
    }
  }
  const std::int64_t known = shape.numel();
  if (unknown >= 0 && known > 0) shape[unknown] = numel() / known;
  ENSURE(shape.numel() == numel() && (unknown < 0 || known > 0), "reshape: {} does not fit into {}",
         shape_.str(), wanted.str());
  Tensor out = contiguous();
  out.shape_ = shape;
  out.strides_ = shape.contiguous_strides();
  return out;
}

Tensor Tensor::permute(const Shape& order) const {
  ENSURE(order.ndim() == ndim(), "permute: order {} for shape {}", order.str(), shape_.str());
  unsigned seen = 0;
  Tensor out = *this;
  for (int i = 0; i < ndim(); ++i) {
    ENSURE(order[i] >= -ndim() && order[i] < ndim(), "permute: order {} for shape {}", order.str(),
           shape_.str());
    const int source = wrap_dim("permute", static_cast<int>(order[i]), shape_);
    ENSURE(!(seen & (1u << source)), "permute: order {} for shape {}", order.str(), shape_.str());
    seen |= 1u << source;
    out.shape_[i] = shape_[source];
    out.strides_[i] = strides_[source];
  }
  return out;
}

Tensor Tensor::transpose(int first, int second) const {
  const int a = wrap_dim("transpose", first, shape_), b = wrap_dim("transpose", second, shape_);
  Tensor out = *this;
  std::swap(out.shape_[a], out.shape_[b]);
  std::swap(out.strides_[a], out.strides_[b]);
  return out;
}

Tensor Tensor::narrow(int along, std::int64_t start, std::int64_t length) const {
  const int dim = wrap_dim("narrow", along, shape_);
  const std::int64_t size = shape_[dim];
  ENSURE(start >= 0 && start <= size && length >= 0 && length <= size - start,
         "narrow: {} elements from {} of dimension {} of shape {}", length, start, dim, shape_.str());
  Tensor out = *this;
  out.shape_[dim] = length;
  out.offset_ += start * strides_[dim];
  return out;
}

Tensor Tensor::expand(const Shape& shape) const {
  ENSURE(defined(), "expand: undefined tensor");
  ENSURE(shape.ndim() >= ndim(), "expand: {} to {}", shape_.str(), shape.str());
  Tensor out = *this;
  out.shape_ = shape;
  out.strides_ = shape;
  for (int i = 0; i < shape.ndim(); ++i) {
    const int source = i - (shape.ndim() - ndim());
    const bool repeat = source < 0 || (shape_[source] == 1 && shape[i] != 1);
    ENSURE(shape[i] >= 0 && (repeat || shape_[source] == shape[i]), "expand: {} to {}", shape_.str(),
           shape.str());
    out.strides_[i] = repeat ? 0 : strides_[source];
  }
  (void)out.numel();  // throws for more than memory holds: other code counts in products of the sizes
  return out;
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::clone() const {
  const Tensor out = empty(shape_, dtype_, device());
  out.copy_from(*this);
  return out;
}

Tensor Tensor::to(Dtype dtype) const {
  if (dtype == dtype_) return *this;
  const Tensor out = empty(shape_, dtype, device());
  out.copy_from(*this);
  return out;
}

Tensor Tensor::to(Device device) const {
  if (device == this->device()) return *this;
  const Tensor out = empty(shape_, dtype_, device);
  out.copy_from(*this);
  return out;
}

}  // namespace damc
