/// The GPU. A build without CUDA has tensor/cuda/no_cuda.cpp in its place.
#pragma once

#include <memory>
#include <string>

#include "tensor/backend.h"

namespace damc {

/// Throws UserError when this build has no CUDA or the machine no such device.
std::unique_ptr<Backend> make_cuda_backend(int index);

/// A device's name with the versions of driver and libraries that it is used through: one line. Throws UserError as
/// make_cuda_backend.
std::string cuda_identity(int index);

/// GPUs that this process may use.
int cuda_device_count();

/// One line on this build's CUDA support, for `damc info`.
std::string cuda_summary();

}  // namespace damc
