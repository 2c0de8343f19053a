/// The batch with which a training would go on that its device has no room for.
#pragma once

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

}  // namespace damc
