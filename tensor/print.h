/// Tensors and shapes as text, for people: with `fmt` and with `<<`.
#pragma once

#include <fmt/format.h>

#include <ostream>
#include <string>

#include "tensor/tensor.h"

namespace damc {

/// Numbers in rows and brackets as PyTorch shows them, four digits each: of a long dimension the first and the last
/// three, then shape and type: "[[1.0000, 2.0000], [3.0000, 4.0000]] [2, 2] f32". Waits for the device.
std::string to_string(const Tensor& t);

/// One number. Throws Error when the index does not fit.
double at(const Tensor& t, const Shape& index);

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.str(); }
inline std::ostream& operator<<(std::ostream& out, const Tensor& t) { return out << to_string(t); }

}  // namespace damc

template <>
struct fmt::formatter<damc::Shape> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const damc::Shape& shape, Context& context) const {
    return fmt::formatter<std::string>::format(shape.str(), context);
  }
};

template <>
struct fmt::formatter<damc::Tensor> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const damc::Tensor& t, Context& context) const {
    return fmt::formatter<std::string>::format(damc::to_string(t), context);
  }
};
