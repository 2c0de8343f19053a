/// What the gradients of one operation share.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

#include "autograd/ops.h"

namespace damc {

/// A function of tensors that is worked out once for calls with the same tensor one after the other, as the vjps of one
/// operation get it.
class Memo {
 public:
  explicit Memo(std::function<Tensor(const Tensor&)> f)
      : state_(std::make_shared<State>(State{std::move(f), {}, {}})) {}
  const Tensor& operator()(const Tensor& g) const {
    if (!same(state_->g, g)) {
      state_->value = state_->f(g);
      state_->g = g;
    }
    return state_->value;
  }

 private:
  struct State {
    std::function<Tensor(const Tensor&)> f;
    Tensor g, value;  // kept, so that no other tensor can come to lie where g is
  };
  static bool same(const Tensor& a, const Tensor& b) {
    return a.defined() && a.raw() == b.raw() && a.shape() == b.shape() && a.strides() == b.strides();
  }
  std::shared_ptr<State> state_;
};

/// An activation that an operation has fused into it: y = act(a).
class BeforeActivation {
 public:
  BeforeActivation(const Unary& activation, const Tensor& y) : activation_(activation) {
    if (activation.op == UnaryOp::identity) return;  // then y need not be kept
    y_ = y;
    of_tensor_.emplace([activation, y](const Tensor& g) { return unary_vjp(activation, g, y, y); });
  }
  /// The vjp of y from f, that of a.
  template <class F>
  Vjp then(F f) const {
    if (!of_tensor_) return f;
    return Vjp::of_result(y_, [act = activation_, memo = *of_tensor_, f](const auto& g, const auto& y) {
      if constexpr (std::is_same_v<decltype(g), const Tensor&>) {
        return f(memo(g));
      } else {
        return f(unary_vjp(act, g, y, y));
      }
    });
  }

 private:
  Unary activation_;
  Tensor y_;
  std::optional<Memo> of_tensor_;
};

}  // namespace damc
