#include "tensor/storage.h"

#include "tensor/backend.h"

namespace damc {

Storage::Storage(std::size_t bytes, Device device)
    : bytes_(bytes), device_(device), owned_(true), data_(backend(device).allocate(bytes)) {}

Storage::Storage(void* data, std::size_t bytes, Device device)
    : bytes_(bytes), device_(device), owned_(false), data_(data) {}

Storage::~Storage() {
  if (owned_) backend(device_).release(data_, bytes_);
}

}  // namespace damc
