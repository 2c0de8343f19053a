/// The CPU as a device.
#pragma once

#include <memory>
#include <string>

#include "tensor/backend.h"

namespace damc {

/// The variant of kernels (variants.h) that is chosen, with its threads started.
std::unique_ptr<Backend> make_cpu_backend();

/// One line on the CPU's threads, kernels and the library that multiplies matrices, for `damc info`.
std::string cpu_summary();

}  // namespace damc
