/// Memory on the host from which a device is filled while it computes.
#pragma once

#include "tensor/backend.h"

namespace damc {

/// Staging for copies of `bytes` to a device. Where the device has none of its own, every send is done when it returns.
std::unique_ptr<Staging> make_staging(Device device, std::size_t bytes);

}  // namespace damc
