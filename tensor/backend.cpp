#include "tensor/backend.h"

#include <map>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/watch/trace.h"

namespace damc {
namespace {

std::unique_ptr<Backend> make_backend(Device device) {
  auto made = device.type == DeviceType::cpu ? make_cpu_backend() : make_cuda_backend(device.index);
  return trace_requested() ? make_trace_backend(std::move(made)) : std::move(made);
}

/// The slot of a device; a GPU's is empty until its first use, and may be filled by an override alone. Never
/// destroyed: tensors with static lifetime return their memory at the very end.
std::unique_ptr<Backend>& slot(Device device) {
  static auto& cpu = *new std::unique_ptr<Backend>(make_backend(Device{}));
  if (device.type == DeviceType::cpu) return cpu;
  static auto& cuda = *new std::map<int, std::unique_ptr<Backend>>;
  return cuda[device.index];
}

}  // namespace

Backend& backend(Device device) {
  auto& found = slot(device);
  if (!found) found = make_backend(device);
  return *found;
}

PinnedWeights::PinnedWeights(std::vector<Tensor> weights)
    : weights_(std::move(weights)), backend_(weights_.empty() ? nullptr : &backend(weights_[0].device())) {
  for (const Tensor& weight : weights_) backend_->pin(weight);
}

PinnedWeights::~PinnedWeights() {
  for (const Tensor& weight : weights_) backend_->unpin(weight);
}

BackendOverride::BackendOverride(Device device, std::unique_ptr<Backend> replacement)
    : device_(device), previous_(std::exchange(slot(device), std::move(replacement))) {}

BackendOverride::~BackendOverride() { slot(device_) = std::move(previous_); }

}  // namespace damc
