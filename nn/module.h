/// Module: something with named parameters.
///
/// Names are PyTorch's ("encoder.net.0.weight"). Filters are kept channels-last here (Cout,kH,kW,Cin and
/// Cin,kH,kW,Cout) and channels-second in PyTorch (Cout,Cin,kH,kW and Cin,Cout,kH,kW); state dicts hold
/// PyTorch's layout.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace damc {

using StateDict = std::map<std::string, Tensor>;

/// What loading a state will write. All that belongs together is found in the state and checked first, and then written: a
/// state that lacks something changes nothing.
class Loading {
 public:
  /// Keeps a reference to the state.
  explicit Loading(const StateDict& state) : state_(state) {}

  const StateDict& state() const { return state_; }
  /// What finish() will do, in the order of the calls; it shall not fail.
  void later(std::function<void()> write) { writes_.push_back(std::move(write)); }
  /// The same: `into` gets this value, of its shape.
  void later(const Tensor& into, const Tensor& value) {
    later([into, value] { into.copy_from(value); });
  }
  void finish() const {
    for (const auto& write : writes_) write();
  }

 private:
  const StateDict& state_;
  std::vector<std::function<void()>> writes_;
};

/// Loads all of the parts, or none: each has find_state(Loading&).
template <class... Parts>
void load_all(const StateDict& state, Parts&... parts) {
  Loading loading(state);
  (parts.find_state(loading), ...);
  loading.finish();
}

class Module {
 public:
  using Visitor = std::function<void(const std::string& name, const Variable& parameter)>;

  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// Calls visitor(prefix + name, parameter) for every parameter and every buffer, in a fixed order. A buffer is part of
  /// the state and takes no gradient: a running mean.
  virtual void visit(const std::string& prefix, const Visitor& visitor) const = 0;

  /// How layers behave that train otherwise than they are used: batch_norm, dropout. They train at first.
  virtual void train(bool /*on*/ = true) {}
  void eval() { train(false); }

  std::vector<Variable> parameters() const;
  std::int64_t parameter_count() const;

  /// Copies of parameters and buffers under prefix + name, see saved().
  StateDict state_dict(const std::string& prefix = "") const;
  /// Overwrites them. Throws UserError naming the parameter when one is missing or has another
  /// shape, and changes nothing then.
  void load_state_dict(const StateDict& state, const std::string& prefix = "");
  /// The first half of that.
  void find_state(Loading& loading, const std::string& prefix = "") const;
  /// Overwrites them with another module's of the same structure.
  void copy_from(const Module& other);
};

/// PyTorch's layout of a parameter, and back: only filters (four dimensions) differ.
Tensor to_torch_layout(const Tensor& t);
Tensor from_torch_layout(const Tensor& t);

/// What a state dict holds of a parameter: a copy in PyTorch's layout, on the CPU: saving takes no memory of a device.
Tensor saved(const Tensor& t);

}  // namespace damc
