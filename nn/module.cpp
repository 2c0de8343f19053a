#include "nn/module.h"

#include "tensor/error.h"

namespace damc {

std::vector<Variable> Module::parameters() const {
  std::vector<Variable> found;
  visit("", [&](const std::string&, const Variable& parameter) {
    if (parameter.requires_grad()) found.push_back(parameter);
  });
  return found;
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const Variable& parameter : parameters()) count += parameter.value().numel();
  return count;
}

StateDict Module::state_dict(const std::string& prefix) const {
  StateDict state;
  visit(prefix,
        [&](const std::string& name, const Variable& parameter) { state[name] = saved(parameter.value()); });
  return state;
}

void Module::load_state_dict(const StateDict& state, const std::string& prefix) {
  Loading loading(state);
  find_state(loading, prefix);
  loading.finish();
}

void Module::find_state(Loading& loading, const std::string& prefix) const {
  visit(prefix, [&](const std::string& name, const Variable& parameter) {
    const auto found = loading.state().find(name);
    if (found == loading.state().end()) user_error(fmt::format("no weight named '{}'", name));
    if (!found->second.defined() || found->second.dtype() == Dtype::i64) {
      user_error(fmt::format("weight '{}' has a type that the model does not take", name),
                 "save it as F32, F64, F16 or BF16; 'damc info FILE' lists the types");
    }
    const Shape expected = to_torch_layout(parameter.value()).shape();
    if (found->second.shape() != expected) {
      user_error(fmt::format("weight '{}' has shape {}, the model needs {}", name,
                             found->second.shape().str(), expected.str()));
    }
    loading.later(parameter.value(), from_torch_layout(found->second).to(parameter.dtype()));
  });
}

void Module::copy_from(const Module& other) {
  std::vector<Tensor> mine, theirs;
  visit("", [&](const std::string&, const Variable& part) { mine.push_back(part.value()); });
  other.visit("", [&](const std::string&, const Variable& part) { theirs.push_back(part.value()); });
  ENSURE(mine.size() == theirs.size(), "copy: modules of {} and {} parameters", mine.size(), theirs.size());
  for (std::size_t i = 0; i < mine.size(); ++i)
    ENSURE(mine[i].shape() == theirs[i].shape(), "copy: parameter number {} is {}, the other module's {}", i,
           mine[i].shape().str(), theirs[i].shape().str());
  for (std::size_t i = 0; i < mine.size(); ++i) mine[i].copy_from(theirs[i]);
}

Tensor saved(const Tensor& t) { return to_torch_layout(t.to(Device{})).clone(); }

Tensor to_torch_layout(const Tensor& t) { return t.ndim() == 4 ? t.permute({0, 3, 1, 2}) : t; }

Tensor from_torch_layout(const Tensor& t) { return t.ndim() == 4 ? t.permute({0, 2, 3, 1}) : t; }

}  // namespace damc
