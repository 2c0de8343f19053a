/// Files of weights in any format that is read, told apart by their content: safetensors, and PyTorch's in both forms.
#pragma once

#include <filesystem>

#include "tensor/io/safetensors.h"

namespace damc {

/// Whether a file's first bytes are those of a file of PyTorch in either form, or of another zip archive. Throws UserError
/// when there is no such file.
bool is_torch_file(const std::filesystem::path& path);

/// Opens a file, its tensors to be read one by one; of a PyTorch file see flatten(). Throws UserError with the file and
/// the reason when it is missing, damaged or of another kind.
StoredWeights open_weights(const std::filesystem::path& path);

/// All tensors of such a file that a Tensor can hold, as read_safetensors gives them. Throws UserError as above.
Weights read_weights(const std::filesystem::path& path);

}  // namespace damc
