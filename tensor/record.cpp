#include "tensor/record.h"

#include "tensor/error.h"

namespace damc {
namespace {

constexpr int kWarmUps = kCallsUntilRecorded - 1;

std::string describe(const Shape& shape, Dtype dtype) {
  return fmt::format("{} {}", shape.str(), name(dtype));
}

}  // namespace

Captured::Captured(std::string name, std::vector<std::string> inputs, Device device, Step step)
    : name_(std::move(name)),
      input_names_(std::move(inputs)),
      device_(device),
      step_(std::move(step)),
      recording_(backend(device).make_recording()) {}

Tensors Captured::operator()(const Tensors& inputs) {
  check(inputs);
  check_shapes(inputs);
  for (StepState* state : states_) state->settle();
  if (!recording_) return run(inputs);
  copy_in(inputs);
  if (runs_ < kWarmUps) {
    Tensors results;
    recording_->run([&] { results = run(inputs_); });
    keep(results);
    ++runs_;
    return outputs_;
  }
  if (runs_ == kWarmUps) {
    recording_->record([this] { keep(run(inputs_)); });
    ++runs_;
  }
  recording_->replay();
  return outputs_;
}

Tensors Captured::unrecorded(const Tensors& inputs) {
  check(inputs);
  return run(inputs);
}

void Captured::check(const Tensors& inputs) const {
  ENSURE(inputs.size() == input_names_.size(), "step '{}': {} inputs where {} are due", name_, inputs.size(),
         input_names_.size());
  ENSURE(!running_step(), "step '{}' runs within step '{}'", name_, running_step()->name());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    ENSURE(inputs[i].device() == device_, "step '{}': input '{}' is on {}, the step on {}", name_,
           input_names_[i], inputs[i].device().str(), device_.str());
  }
}

void Captured::check_shapes(const Tensors& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (slots_.size() == i) slots_.push_back({inputs[i].shape(), inputs[i].dtype()});
    ENSURE(inputs[i].shape() == slots_[i].shape && inputs[i].dtype() == slots_[i].dtype,
           "step '{}': input '{}' was {} in the first call and is {} now", name_, input_names_[i],
           describe(slots_[i].shape, slots_[i].dtype), describe(inputs[i].shape(), inputs[i].dtype()));
  }
}

/// The recording's kernels read the inputs where they lay when it was made.
void Captured::copy_in(const Tensors& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs_.size() == i) inputs_.push_back(Tensor::empty(slots_[i].shape, slots_[i].dtype, device_));
    inputs_[i].copy_from(inputs[i]);
  }
}

/// Copies the results to where no other step writes. The first time makes that place, outside the steps' memory.
void Captured::keep(const Tensors& results) {
  ENSURE(outputs_.empty() || results.size() == outputs_.size(),
         "step '{}': {} results in the first call and {} now", name_, outputs_.size(), results.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (outputs_.size() == i)
      outputs_.push_back(Tensor::empty(results[i].shape(), results[i].dtype(), device_));
    ENSURE(results[i].shape() == outputs_[i].shape() && results[i].dtype() == outputs_[i].dtype(),
           "step '{}': result {} was {} in the first call and is {} now", name_, i + 1,
           describe(outputs_[i].shape(), outputs_[i].dtype()),
           describe(results[i].shape(), results[i].dtype()));
    outputs_[i].copy_from(results[i]);
  }
}

Tensors Captured::run(const Tensors& inputs) {
  const RunningStep running(name_, states_, runs_ >= kWarmUps);
  Tensors outputs = step_(inputs);
  // Within the step, so that a replay too moves the noise on.
  for (StepState* state : states_) state->settle();
  return outputs;
}

}  // namespace damc
