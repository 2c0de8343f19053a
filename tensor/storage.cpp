#include "tensor/storage.h"

#include "tensor/backend.h"

namespace damc {

Storage::Storage(std::size_t bytes, Device device)
    : bytes_(bytes), device_(device), data_(backend(device).allocate(bytes)) {}

Storage::~Storage() { backend(device_).release(data_, bytes_); }

}  // namespace damc
