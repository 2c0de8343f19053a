/// The self-test of a device: does it compute what it should, with the drivers and libraries of this machine?
#pragma once

#include <functional>
#include <string>

#include "tensor/device.h"

namespace damc {

/// One part of the test: what was found, and whether that is right.
struct CheckedPart {
  std::string name, found;
  bool passed;
};

/// Runs every part on a device, in seconds, and reports each as it is done: memory; every kernel of a training iteration
/// against the CPU's in f64, in every precision (but a CPU's tf32, which is emulated by the code of fp32); recorded
/// steps against the same kernels one by one; whole iterations against the CPU's; a state written and read again. A part
/// that throws has failed, and so have those that it leaves no device for. Whether all passed.
bool check_device(Device device, const std::function<void(const CheckedPart&)>& report);

/// The same of a GPU that was not yet used through these drivers and libraries by this program, once it is found good;
/// which ones were is kept in the user's cache folder (XDG_CACHE_HOME or ~/.cache). Says that it takes a moment, and on
/// stderr what failed. Throws Error unless all passed.
void check_first_use(Device device);

}  // namespace damc
