/// The GPU. A build without CUDA has tensor/cuda/no_cuda.cpp in its place.
#pragma once

#include <memory>
#include <string>

#include "tensor/backend.h"

namespace damc {

/// Throws UserError when this build has no CUDA or the machine no such device.
std::unique_ptr<Backend> make_cuda_backend(int index);

/// One line on this build's CUDA support, for `damc info`.
std::string cuda_summary();

}  // namespace damc
