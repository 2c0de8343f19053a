/// What storages and tensors ask of their device's backend: memory, copies, a fill.

#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/step.h"

namespace damc {

Storage::Storage(std::size_t bytes, Device device)
    : bytes_(bytes), device_(device), owned_(true), data_(backend(device).allocate(bytes)) {}

Storage::Storage(void* data, std::size_t bytes, Device device)
    : bytes_(bytes), device_(device), owned_(false), data_(data) {}

Storage::~Storage() {
  if (owned_) backend(device_).release(data_, bytes_);
}

template <class T>
Tensor Tensor::from(std::span<const T> values, const Shape& shape, Device device) {
  ENSURE(static_cast<std::int64_t>(values.size()) == shape.numel(), "tensor: {} values for shape {}",
         values.size(), shape.str());
  forbid_in_step("a copy from the host");
  const Tensor out = empty(shape, dtype_of<T>(), device);
  backend(device).copy_bytes(out.data<T>(), values.data(), values.size_bytes(), CopyKind::host_to_device);
  return out;
}

template Tensor Tensor::from(std::span<const float>, const Shape&, Device);
template Tensor Tensor::from(std::span<const double>, const Shape&, Device);
template Tensor Tensor::from(std::span<const bf16>, const Shape&, Device);
template Tensor Tensor::from(std::span<const std::int64_t>, const Shape&, Device);

template <class T>
std::vector<T> Tensor::to_vector() const {
  if (dtype_ != dtype_of<T>()) {
    ENSURE(dtype_ != Dtype::i64 && dtype_of<T>() != Dtype::i64, "tensor: no conversion from {} to {}",
           name(dtype_), name(dtype_of<T>()));
    return to(dtype_of<T>()).template to_vector<T>();
  }
  forbid_in_step("a copy to the host");
  const Tensor source = contiguous();
  std::vector<T> values(static_cast<std::size_t>(numel()));
  backend(device()).copy_bytes(values.data(), source.data<T>(), values.size() * sizeof(T),
                               CopyKind::device_to_host);
  return values;
}

template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<bf16> Tensor::to_vector() const;
template std::vector<std::int64_t> Tensor::to_vector() const;

bool Tensor::is_same_view(const Tensor& other) const {
  return storage_ == other.storage_ && offset_ == other.offset_ && shape_ == other.shape_ &&
         strides_ == other.strides_ && dtype_ == other.dtype_;
}

void Tensor::copy_from(const Tensor& source) const {
  for (int d = 0; d < ndim(); ++d)
    ENSURE(strides_[d] != 0 || shape_[d] < 2 || numel() == 0,
           "copy: a target of shape {} that was expanded: its elements are one", shape_.str());
  if (source.device() == device()) {
    ENSURE(source.dtype_ == dtype_ || (source.dtype_ != Dtype::i64 && dtype_ != Dtype::i64),
           "copy: no conversion from {} to {}", name(source.dtype_), name(dtype_));
    // Elements that are read and written could be written first: those of a copy are read.
    const bool apart = source.storage_ != storage_ || is_same_view(source);
    backend(device()).copy((apart ? source : source.clone()).expand(shape_), *this);
    return;
  }
  if (source.device().type != DeviceType::cpu && device().type != DeviceType::cpu) {
    copy_from(source.to(Device{}));  // from one GPU to another through the host
    return;
  }
  forbid_in_step("a copy between devices");
  // Between devices only whole contiguous blocks travel; layout and type change on the source's side.
  ENSURE(is_contiguous(), "copy: a strided target of shape {} on another device", shape_.str());
  const Tensor block = source.expand(shape_).to(dtype_).contiguous();
  const bool up = device().type != DeviceType::cpu;
  backend(up ? device() : source.device())
      .copy_bytes(raw(), block.raw(), static_cast<std::size_t>(numel()) * size_of(dtype_),
                  up ? CopyKind::host_to_device : CopyKind::device_to_host);
}

void Tensor::fill(double value) const { backend(device()).fill(value, *this); }

}  // namespace damc
