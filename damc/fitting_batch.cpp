#include "damc/fitting_batch.h"

#include <algorithm>

namespace damc {

std::int64_t fitting_batch(std::int64_t batch, std::size_t fixed, const OutOfMemory::Bytes& bytes) {
  const auto batch_part = [&](std::size_t more) {
    return static_cast<double>(bytes.in_use) + static_cast<double>(more) - static_cast<double>(fixed);
  };
  const double wanted = batch_part(bytes.asked), room = batch_part(bytes.free);
  if (wanted <= 0.0 || room <= 0.0) return 0;
  // Fragmented memory can refuse what the sum of its free parts would hold; then it is one image less.
  return std::min(batch - 1, static_cast<std::int64_t>(static_cast<double>(batch) * room / wanted));
}

std::string out_of_memory_line(const OutOfMemory& error, std::int64_t batch, std::size_t fixed) {
  const std::int64_t fits = fitting_batch(batch, fixed, error.bytes);
  return fmt::format("{}; {}", error.what(),
                     fits > 0 ? fmt::format("a batch of at most {} instead of {} fits", fits, batch)
                              : fmt::format("it has no room for a batch of any size"));
}

}  // namespace damc
