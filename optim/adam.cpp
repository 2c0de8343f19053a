#include "optim/adam.h"

#include "optim/check_gradient.h"
#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {

Adam::Adam(Module& module, const AdamOptions& options) : options_(options) {
  module.visit("", [&](const std::string& name, const Variable& parameter) {
    if (!parameter.requires_grad()) return;
    check_wide("adam", parameter.value());
    ENSURE(parameter.value().is_contiguous(), "adam: parameter '{}' {} is a strided view", name,
           parameter.shape().str());
    const Variable& first = slots_.empty() ? parameter : slots_[0].parameter;
    ENSURE(parameter.dtype() == first.dtype() && parameter.device() == first.device(),
           "adam: parameter '{}' is {} on {}, '{}' is {} on {}", name, damc::name(parameter.dtype()),
           parameter.device().str(), slots_[0].name, damc::name(first.dtype()), first.device().str());
    const auto zeros = [&] {
      return Tensor::zeros(parameter.shape(), parameter.dtype(), parameter.device());
    };
    slots_.push_back({name, parameter, zeros(), zeros()});
  });
  ENSURE(!slots_.empty(), "adam: a module without parameters");
  schedule_ = Tensor::from(std::vector<double>{0.0, 1.0, 1.0}, {3}, slots_[0].parameter.device());
}

void Adam::update(const std::vector<Tensor>& grads, const Tensor& norm, double max_norm,
                  const FiniteWatch* watch) {
  ENSURE(grads.size() == slots_.size(), "adam: {} gradients for {} parameters", grads.size(), slots_.size());
  for (std::size_t i = 0; i < slots_.size(); ++i)
    check_gradient("adam", slots_[i].name, slots_[i].parameter, grads[i]);
  ENSURE(max_norm <= 0.0 || norm.device() == schedule_.device(),
         "adam: the norm is on {}, the parameters on {}", norm.device().str(), schedule_.device().str());
  ENSURE(max_norm <= 0.0 || (norm.numel() == 1 && norm.dtype() == slots_[0].parameter.dtype()),
         "adam: the norm is {} {}, expected one number of {}", norm.shape().str(), name(norm.dtype()),
         name(slots_[0].parameter.dtype()));
  Backend& on = backend(schedule_.device());
  const Tensor watched = watch ? watch->state() : Tensor();
  on.adam_tick(schedule_, options_.beta1, options_.beta2, watched);
  std::vector<AdamTensors> tensors;
  for (std::size_t i = 0; i < slots_.size(); ++i)
    tensors.push_back({slots_[i].parameter.value(), grads[i].contiguous(), slots_[i].m, slots_[i].v});
  on.adam(tensors, {schedule_, max_norm > 0.0 ? norm : Tensor(), max_norm, options_.beta1, options_.beta2,
                    options_.eps, options_.weight_decay, watched});
}

StateDict Adam::state_dict(const std::string& prefix) const {
  StateDict state;
  for (const Slot& slot : slots_) {
    state[prefix + "m." + slot.name] = saved(slot.m);
    state[prefix + "v." + slot.name] = saved(slot.v);
  }
  state[prefix + "schedule"] = saved(schedule_);
  return state;
}

void Adam::load_state_dict(const StateDict& state, const std::string& prefix) {
  Loading loading(state);
  find_state(loading, prefix);
  loading.finish();
}

void Adam::find_state(Loading& loading, const std::string& prefix) const {
  const auto find = [&](const std::string& name, const Tensor& into) {
    const auto found = loading.state().find(prefix + name);
    if (found == loading.state().end())
      user_error(fmt::format("no optimiser state named '{}'", prefix + name));
    if (!found->second.defined() || (found->second.dtype() == Dtype::i64) != (into.dtype() == Dtype::i64))
      user_error(
          fmt::format("optimiser state '{}' is not of type {}", prefix + name, damc::name(into.dtype())));
    const Tensor value = from_torch_layout(found->second);
    if (value.shape() != into.shape()) {
      user_error(fmt::format("optimiser state '{}' has shape {}, expected {}", prefix + name,
                             value.shape().str(), into.shape().str()));
    }
    loading.later(into, value.to(into.dtype()));
  };
  for (const Slot& slot : slots_) {
    find("m." + slot.name, slot.m);
    find("v." + slot.name, slot.v);
  }
  find("schedule", schedule_);
}

Tensor global_norm(const std::vector<Tensor>& grads) { return sqrt(sum_squares(grads)); }

}  // namespace damc
