/// Pointwise functions, each beside its derivative, written once for every device.
///
/// A unary functor has f(x) and df(x, y) = dy/dx at x with y = f(x). One that selects instead of multiplying has
/// vjp(g, x, y) in place of df: what is not selected gives 0 whatever g is, infinities and NaN included. So
/// has one whose df may overflow where g df does not. To add one: write it here, add its name to DAMC_UNARY_OPS, one line
/// in tensor/ops.h, its derivative as operations in autograd/pointwise.cpp, one row in
/// autograd/checks/pointwise_cases.cpp.
#pragma once

#include <cmath>

#include "tensor/host_device.h"
#include "tensor/kernels/elementary.h"

namespace damc {

// clang-format off
#define DAMC_UNARY_OPS(X)                                                     \
  X(identity) X(affine) X(exp) X(log) X(sqrt) X(square) X(reciprocal) X(sin)  \
  X(cos) X(atan) X(erf) X(tanh) X(sigmoid) X(softplus) X(silu) X(gelu)        \
  X(abs) X(pow) X(leaky_relu) X(clamp) X(greater)
// clang-format on

/// Those that are also compiled into other kernels, as activations of products and normalisations: their derivative
/// follows from their value.
#define DAMC_FUSED_OPS(X) X(identity) X(leaky_relu) X(tanh)

#define DAMC_BINARY_OPS(X) X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) X(gt) X(eq) X(masked)

enum class UnaryOp {
#define X(op) op,
  DAMC_UNARY_OPS(X)
#undef X
};

enum class BinaryOp {
#define X(op) op,
  DAMC_BINARY_OPS(X)
#undef X
};

/// Their names in messages.
constexpr const char* name(UnaryOp op) {
  constexpr const char* names[] = {
#define X(op) #op,
      DAMC_UNARY_OPS(X)
#undef X
  };
  return names[static_cast<int>(op)];
}

constexpr const char* name(BinaryOp op) {
  constexpr const char* names[] = {
#define X(op) #op,
      DAMC_BINARY_OPS(X)
#undef X
  };
  return names[static_cast<int>(op)];
}

/// A unary function with its constants; which constants mean what stands at the functor. As an activation, the
/// identity is none.
struct Unary {
  UnaryOp op = UnaryOp::identity;
  double p0 = 0.0;
  double p1 = 0.0;
};

/// Whether other kernels can apply this function to their result: of leaky_relu those that keep signs.
constexpr bool fuses(const Unary& f) {
#define X(fused) || f.op == UnaryOp::fused
  return (false DAMC_FUSED_OPS(X)) && (f.op != UnaryOp::leaky_relu || f.p0 >= 0.0);
#undef X
}

/// Throws Error: no kernel has this function fused into it.
[[noreturn]] void refuse_to_fuse(UnaryOp op);

namespace functor {

template <class T>
struct identity {
  T p0, p1;
  DAMC_HD T f(T x) const { return x; }
  DAMC_HD T vjp(T g, T, T) const { return g; }
};

/// y = p0 x + p1
template <class T>
struct affine {
  T p0, p1;
  DAMC_HD T f(T x) const { return p0 * x + p1; }
  DAMC_HD T df(T, T) const { return p0; }
};

template <class T>
struct exp {
  T p0, p1;
  DAMC_HD T f(T x) const { return elementary_exp(x); }
  DAMC_HD T df(T, T y) const { return y; }
};

template <class T>
struct log {
  T p0, p1;
  DAMC_HD T f(T x) const { return std::log(x); }
  DAMC_HD T vjp(T g, T x, T) const { return g / x; }
};

template <class T>
struct sqrt {
  T p0, p1;
  DAMC_HD T f(T x) const { return std::sqrt(x); }
  DAMC_HD T df(T, T y) const { return T(0.5) / y; }
};

template <class T>
struct square {
  T p0, p1;
  DAMC_HD T f(T x) const { return x * x; }
  DAMC_HD T df(T x, T) const { return T(2) * x; }
};

template <class T>
struct reciprocal {
  T p0, p1;
  DAMC_HD T f(T x) const { return T(1) / x; }
  DAMC_HD T df(T, T y) const { return -y * y; }
};

template <class T>
struct sin {
  T p0, p1;
  DAMC_HD T f(T x) const { return std::sin(x); }
  DAMC_HD T df(T x, T) const { return std::cos(x); }
};

template <class T>
struct cos {
  T p0, p1;
  DAMC_HD T f(T x) const { return std::cos(x); }
  DAMC_HD T df(T x, T) const { return -std::sin(x); }
};

template <class T>
struct atan {
  T p0, p1;
  DAMC_HD T f(T x) const { return std::atan(x); }
  DAMC_HD T df(T x, T) const { return T(1) / (T(1) + x * x); }
};

template <class T>
struct erf {
  T p0, p1;
  DAMC_HD T f(T x) const { return std::erf(x); }
  DAMC_HD T df(T x, T) const { return T(1.1283791670955126) * elementary_exp(-x * x); }  // 2 / sqrt(pi)
};

template <class T>
struct tanh {
  T p0, p1;
  DAMC_HD T f(T x) const { return elementary_tanh(x); }
  DAMC_HD T df(T, T y) const { return T(1) - y * y; }
};

template <class T>
struct sigmoid {
  T p0, p1;
  DAMC_HD T f(T x) const { return T(1) / (T(1) + elementary_exp(-x)); }
  DAMC_HD T df(T, T y) const { return y * (T(1) - y); }
};

/// log(1 + e^x), without overflow
template <class T>
struct softplus {
  T p0, p1;
  DAMC_HD T f(T x) const { return (x > T(0) ? x : T(0)) + std::log1p(elementary_exp(x > T(0) ? -x : x)); }
  DAMC_HD T df(T x, T) const { return T(1) / (T(1) + elementary_exp(-x)); }
};

/// x sigmoid(x); also known as swish
template <class T>
struct silu {
  T p0, p1;
  DAMC_HD T f(T x) const { return x / (T(1) + elementary_exp(-x)); }
  DAMC_HD T df(T x, T) const {
    const T s = T(1) / (T(1) + elementary_exp(-x));
    return s * (T(1) + x * (T(1) - s));
  }
};

/// x P(N(0, 1) <= x)
template <class T>
struct gelu {
  T p0, p1;
  DAMC_HD T below(T x) const { return T(0.5) * (T(1) + std::erf(x * T(0.7071067811865476))); }
  DAMC_HD T f(T x) const { return x * below(x); }
  DAMC_HD T df(T x, T) const {
    return below(x) + x * T(0.3989422804014327) * elementary_exp(T(-0.5) * x * x);  // 1 / sqrt(2 pi)
  }
};

template <class T>
struct abs {
  T p0, p1;
  DAMC_HD T f(T x) const { return std::abs(x); }
  DAMC_HD T vjp(T g, T x, T) const { return x > T(0) ? g : x < T(0) ? -g : T(0); }
};

/// x^p0
template <class T>
struct pow {
  T p0, p1;
  DAMC_HD T f(T x) const { return std::pow(x, p0); }
  DAMC_HD T vjp(T g, T x, T) const { return p0 == T(0) ? T(0) : g * (p0 * std::pow(x, p0 - T(1))); }
};

/// x for x > 0, p0 x otherwise; with p0 = 0, relu, it selects: 0 for -inf, and g where x is NaN. With p0 >= 0 the sign of y
/// is the sign of x, so that the derivative may be given y for x.
template <class T>
struct leaky_relu {
  T p0, p1;
  DAMC_HD T f(T x) const {
    const T scaled = p0 * x;
    const T below = ((p0 == T(0)) & (x <= T(0))) ? T(0) : scaled;
    return x > T(0) ? x : below;
  }
  DAMC_HD T vjp(T g, T x, T) const {
    const T scaled = p0 == T(0) ? T(0) : p0 * g;
    const bool passes = (x > T(0)) | ((p0 == T(0)) & (x != x));
    return passes ? g : scaled;
  }
};

/// min(max(x, p0), p1); g between the bounds, 0 at them
template <class T>
struct clamp {
  T p0, p1;
  DAMC_HD T f(T x) const {
    const T raised = x < p0 ? p0 : x;
    return raised > p1 ? p1 : raised;
  }
  DAMC_HD T vjp(T g, T x, T) const { return ((x > p0) & (x < p1)) ? g : T(0); }
};

/// 1 for x > p0, 0 otherwise
template <class T>
struct greater {
  T p0, p1;
  DAMC_HD T f(T x) const { return x > p0 ? T(1) : T(0); }
  DAMC_HD T vjp(T, T, T) const { return T(0); }
};

template <class T>
struct add {
  DAMC_HD T f(T a, T b) const { return a + b; }
};

template <class T>
struct sub {
  DAMC_HD T f(T a, T b) const { return a - b; }
};

template <class T>
struct mul {
  DAMC_HD T f(T a, T b) const { return a * b; }
};

template <class T>
struct div {
  DAMC_HD T f(T a, T b) const { return a / b; }
};

/// NaN where either is
template <class T>
struct maximum {
  DAMC_HD T f(T a, T b) const { return a > b || a != a ? a : b; }
};

/// NaN where either is
template <class T>
struct minimum {
  DAMC_HD T f(T a, T b) const { return a < b || a != a ? a : b; }
};

/// 1 for a > b, 0 otherwise
template <class T>
struct gt {
  DAMC_HD T f(T a, T b) const { return a > b ? T(1) : T(0); }
};

/// 1 for a = b, 0 otherwise
template <class T>
struct eq {
  DAMC_HD T f(T a, T b) const { return a == b ? T(1) : T(0); }
};

/// a where b is not 0, else 0 whatever a is
template <class T>
struct masked {
  DAMC_HD T f(T a, T b) const { return b != T(0) ? a : T(0); }
};

/// g dy/dx of the function f at x with y = f(x).
template <class F, class T>
DAMC_HD T vjp(const F& f, T g, T x, T y) {
  if constexpr (requires { f.vjp(g, x, y); }) {
    return f.vjp(g, x, y);
  } else {
    return g * f.df(x, y);
  }
}

}  // namespace functor

/// Calls f(functor) with the functor that `unary` names.
template <class T, class F>
void dispatch_unary(const Unary& unary, F&& f) {
  const T p0 = static_cast<T>(unary.p0), p1 = static_cast<T>(unary.p1);
  switch (unary.op) {
#define X(op)                  \
  case UnaryOp::op:            \
    f(functor::op<T>{p0, p1}); \
    break;
    DAMC_UNARY_OPS(X)
#undef X
  }
}

/// The same for an activation that is fused into another kernel. Throws Error for one that does not fuse.
template <class T, class F>
void dispatch_fused(const Unary& activation, F&& f) {
  const T p0 = static_cast<T>(activation.p0), p1 = static_cast<T>(activation.p1);
  switch (activation.op) {
#define X(op)                  \
  case UnaryOp::op:            \
    f(functor::op<T>{p0, p1}); \
    break;
    DAMC_FUSED_OPS(X)
#undef X
    default:
      refuse_to_fuse(activation.op);
  }
}

/// Calls f(functor) with the functor that `op` names.
template <class T, class F>
void dispatch_binary(BinaryOp binary, F&& f) {
  switch (binary) {
#define X(op)            \
  case BinaryOp::op:     \
    f(functor::op<T>{}); \
    break;
    DAMC_BINARY_OPS(X)
#undef X
  }
}

}  // namespace damc
