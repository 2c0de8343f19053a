/// A whole that is cut into equal parts, as a batch among processes.
#pragma once

#include <cstdint>

namespace damc {

/// One of `count` equal parts, in their order.
struct Part {
  std::int64_t index = 0, count = 1;
};

}  // namespace damc
