/// Checkpoints as the paper's authors' program writes them, by the names that this program uses, and back.
///
///   theirs                          here
///   X_state_dict (G, E, Q, Q_dummy)  "X.<parameter>"
///   X_optimizer (G, E, Q)            "adam_x.m.<parameter>", "adam_x.v.<parameter>", "adam_x.schedule" (Adam's states,
///                                    which number the parameters in the order of X_state_dict)
///   iter, the number of the last     metadata "iterations", how many there were
///   param_groups and step            metadata "X_optimizer.<key>"
///
/// Data are not changed: what goes one way and back is the same bit for bit.
#pragma once

#include <filesystem>

#include "tensor/io/torch_file.h"

namespace damc {

/// Opens a file of weights of any format, by this program's names if it is a checkpoint of the authors. Throws
/// UserError as open_weights does, and when such a checkpoint does not fit together.
StoredWeights open_checkpoint(const std::filesystem::path& path);

/// A checkpoint of the authors by this program's names. Throws UserError, beginning with `where`, when its optimisers do
/// not fit its networks.
StoredWeights from_authors(const TorchValue& checkpoint, const std::string& where);

/// Whether all tensors are named as those of a model or state of this program are.
bool has_our_names(const StoredWeights& weights);

/// A model or state in the authors' layout; metadata that they do not have are texts under "damc". The names of what has
/// no place there are added to `left_out`. Throws UserError when an optimiser's state is damaged.
TorchValue to_authors(const StoredWeights& weights, std::vector<std::string>& left_out);

}  // namespace damc
