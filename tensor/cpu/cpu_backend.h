/// The CPU: shared kernels over OpenMP and SIMD loops, OpenBLAS products, convolutions by im2col / col2im.
#pragma once

#include <memory>

#include "tensor/backend.h"

namespace damc {

std::unique_ptr<Backend> make_cpu_backend();

}  // namespace damc
