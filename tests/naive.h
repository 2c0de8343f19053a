/// Naive access to tensors on the CPU, for tests: elements one by one, whatever their layout.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "tensor/random.h"
#include "tests/worse.h"

namespace damc {

using Values = std::vector<double>;

inline constexpr Dtype float_types[] = {Dtype::f32, Dtype::f64};

inline Tensor normal(const Shape& shape, Dtype dtype = Dtype::f32) {
  static Generator generator(1);
  return generator.normal(shape, dtype);
}

/// Calls f with every index of a shape, in row-major order.
template <class F>
void for_each_index(const Shape& shape, F&& f) {
  Shape index = shape;
  for (std::int64_t n = 0; n < shape.numel(); ++n) {
    std::int64_t rest = n;
    for (int d = shape.ndim() - 1; d >= 0; --d) {
      index[d] = rest % shape[d];
      rest /= shape[d];
    }
    f(index);
  }
}

/// The element of `t` at the last dimensions of `index`; an index counts as 0 where t's size is 1.
inline double at(const Tensor& t, const Shape& index) {
  std::int64_t offset = 0;
  for (int d = 0; d < t.ndim(); ++d) {
    if (t.shape()[d] != 1) offset += t.strides()[d] * index[index.ndim() - t.ndim() + d];
  }
  return t.dtype() == Dtype::f32 ? static_cast<double>(t.data<float>()[offset]) : t.data<double>()[offset];
}

inline Values elements(const Tensor& t) {
  Values values;
  for_each_index(t.shape(), [&](const Shape& index) { values.push_back(at(t, index)); });
  return values;
}

/// The same elements in other places: contiguous, dimensions stored in reverse, or part of a larger tensor.
inline std::vector<Tensor> layouts(const Tensor& t) {
  Shape reverse, larger = t.shape();
  for (int d = t.ndim() - 1; d >= 0; --d) reverse.push_back(d);
  for (int d = 0; d < t.ndim(); ++d) larger[d] += 3;
  Tensor inside = Tensor::full(larger, 99.0, t.dtype());
  for (int d = 0; d < t.ndim(); ++d) inside = inside.narrow(d, 1, t.size(d));
  inside.copy_from(t);
  return {t, t.permute(reverse).clone().permute(reverse), inside};
}

/// |x - y| <= tolerance (1 + |y|) for each element.
inline void check_near(const Values& x, const Values& y, double tolerance) {
  REQUIRE(x.size() == y.size());
  double worst = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i)
    worst = worse(worst, std::fabs(x[i] - y[i]) / (1.0 + std::fabs(y[i])));
  CHECK(worst <= tolerance);
}

}  // namespace damc
