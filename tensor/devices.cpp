/// The devices of this program and their backends: what backend.h declares of them.

#include <map>

#include "tensor/backend.h"
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/error.h"
#include "tensor/processors.h"
#include "tensor/watch/trace.h"

namespace damc {
namespace {

std::unique_ptr<Backend> make_device(Device device) {
  switch (device.type) {
    case DeviceType::cpu:
      return make_cpu_backend();
    case DeviceType::cuda: {
      const OnEveryProcessor for_threads_of_the_driver;
      return make_cuda_backend(device.index);
    }
    case DeviceType::meta:
      break;
  }
  user_error("no device meta: it computes nothing", "use cpu, cuda or cuda:N");
}

std::unique_ptr<Backend> make_backend(Device device) {
  auto made = make_device(device);
  return trace_requested() ? make_trace_backend(std::move(made)) : std::move(made);
}

/// The slot of a device; that of the CPU is filled, a GPU's empty until its first use, the meta device's filled by an
/// override alone. Never destroyed: tensors with static lifetime return their memory at the very end.
std::unique_ptr<Backend>& slot(Device device) {
  static auto& cpu = *new std::unique_ptr<Backend>(make_backend(Device{}));
  static auto& others = *new std::map<std::pair<DeviceType, int>, std::unique_ptr<Backend>>;
  return device.type == DeviceType::cpu ? cpu : others[{device.type, device.index}];
}

}  // namespace

Backend& backend(Device device) {
  auto& found = slot(device);
  if (!found) found = make_backend(device);
  return *found;
}

BackendOverride::BackendOverride(Device device, std::unique_ptr<Backend> replacement)
    : device_(device), previous_(std::exchange(slot(device), std::move(replacement))) {}

BackendOverride::~BackendOverride() { slot(device_) = std::move(previous_); }

}  // namespace damc
