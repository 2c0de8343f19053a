/// The CPU: shared kernels over OpenMP and SIMD loops, OpenBLAS products, convolutions by im2col / col2im.
#pragma once

#include <memory>
#include <string>

#include "tensor/backend.h"

namespace damc {

std::unique_ptr<Backend> make_cpu_backend();

/// One line on the CPU's threads and on the library that multiplies matrices, for `damc info`.
std::string cpu_summary();

}  // namespace damc
