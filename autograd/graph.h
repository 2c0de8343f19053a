/// The graph behind a variable, as text.
#pragma once

#include <string>

#include "autograd/variable.h"
#include "tensor/print.h"

namespace damc {

/// Graphviz's language: a box for each operation and leaf that y depends on, an arrow from each input to what was
/// computed from it. `dot -Tsvg` draws it.
std::string to_dot(const Variable& y);

/// The value, and the operation that it came from: "[1.0000, 2.0000] [2] f32, from add".
std::string to_string(const Variable& v);
inline std::ostream& operator<<(std::ostream& out, const Variable& v) { return out << to_string(v); }

}  // namespace damc

template <>
struct fmt::formatter<damc::Variable> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const damc::Variable& v, Context& context) const {
    return fmt::formatter<std::string>::format(damc::to_string(v), context);
  }
};
