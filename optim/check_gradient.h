/// What every optimiser asks of a gradient before it changes anything.
#pragma once

#include <string>

#include "autograd/variable.h"
#include "tensor/error.h"

namespace damc {

/// Throws Error in the optimiser's name unless the gradient has its parameter's shape and type, and lies where it does.
inline void check_gradient(const char* optimiser, const std::string& parameter, const Variable& value,
                           const Tensor& gradient) {
  ENSURE(gradient.defined(), "{}: an undefined gradient for parameter '{}'", optimiser, parameter);
  ENSURE(gradient.shape() == value.shape() && gradient.dtype() == value.dtype() &&
             gradient.device() == value.device(),
         "{}: gradient {} {} on {} for parameter '{}' {} {} on {}", optimiser, gradient.shape().str(),
         name(gradient.dtype()), gradient.device().str(), parameter, value.shape().str(), name(value.dtype()),
         value.device().str());
}

}  // namespace damc
