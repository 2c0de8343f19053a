/// The memory that training needs on a device, known without the device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "damc/config.h"

namespace damc {

/// Bytes that training by this configuration takes on a GPU: weights, optimisers, minibatches, and what the steps of
/// an iteration need, recorded as there (tensor/record.h). The program's own code is run on a device that only counts
/// (tensor/watch/counting_backend.h), in milliseconds. What libraries take for themselves is not in it: the CUDA
/// context, and the workspaces that cuDNN's plans ask for.
std::size_t training_memory(Config config);

/// The largest batch below the configuration's whose training memory is at most `bytes`; 0 when there is none.
std::int64_t largest_batch(const Config& config, std::size_t bytes);

}  // namespace damc
