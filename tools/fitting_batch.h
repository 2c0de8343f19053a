/// The batch with which a training would go on that its device has no room for.
#pragma once

#include <functional>
#include <string>

#include "damc/model.h"
#include "data/images.h"
#include "tensor/error.h"

namespace damc {

/// Below the batch of the model's configuration, by trying iterations with what is done beside them, on memory that the
/// training has given back; 0: none fits. Throws Exit after a signal that asks to stop.
std::int64_t fitting_batch(Model& model, const Split& split, const OutOfMemory& error);

/// The largest pieces, of at most so many images, in which the whole batch fits (the key batch_gpu), tried as above; 0:
/// none.
std::int64_t fitting_pieces(Model& model, const Split& split, std::int64_t most);

/// The largest of a half of the batch, a quarter .. that `work` does without an Error; 0: none. Throws Exit likewise.
std::int64_t fitting_share(std::int64_t batch, const std::function<void(std::int64_t)>& work);

/// The message of the error with the batch that fits; 0: none does.
std::string with_fitting_batch(const OutOfMemory& error, std::int64_t fits, std::int64_t asked);

}  // namespace damc
