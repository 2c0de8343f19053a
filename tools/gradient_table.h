/// The table that `damc gradcheck` shows.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/checks/op_case.h"

namespace damc {

/// Checks the derivatives of rows, and second ones where they have them, in f64 against finite differences, and values
/// and gradients in f32 on the device against f64 on the CPU. Passes a line for each operation to `show`, each failure
/// on a line below it, a summary at last. How many operations failed.
std::size_t check_gradients(const std::vector<OpCase>& rows, Device device,
                            const std::function<void(const std::string&)>& show);

}  // namespace damc
