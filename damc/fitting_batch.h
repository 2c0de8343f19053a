/// When a device has no memory left: the batch that would have fitted.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/error.h"

namespace damc {

/// Memory is affine in the batch: `fixed` bytes (weights, optimisers, and what else was in use before the first
/// batch) and the same for every image. What is known of the latter when a request fails is what the batch has
/// taken so far and the request, so this is the most that can fit; 0 when not even one image does.
std::int64_t fitting_batch(std::int64_t batch, std::size_t fixed, const OutOfMemory::Bytes& bytes);

/// The error as one line, with the batch that would fit.
std::string out_of_memory_line(const OutOfMemory& error, std::int64_t batch, std::size_t fixed);

}  // namespace damc
