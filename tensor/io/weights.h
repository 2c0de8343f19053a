/// Files of weights in any format that is read, told apart by their content: safetensors, and PyTorch's in both forms.
#pragma once

#include <filesystem>

#include "tensor/io/safetensors.h"

namespace damc {

/// Opens a file, its tensors to be read one by one. Of a PyTorch file, the values of nested dictionaries are named by
/// their keys, joined by dots, and a key X_state_dict at the top counts as X; numbers and texts become metadata. Throws
/// UserError with the file and the reason when it is missing, damaged or of another kind.
StoredWeights open_weights(const std::filesystem::path& path);

/// All tensors of such a file that a Tensor can hold, as read_safetensors gives them. Throws UserError as above.
SafetensorsFile read_weights(const std::filesystem::path& path);

}  // namespace damc
