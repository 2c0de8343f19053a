/// Weights and states of a run: model-N.safetensors and state-N.safetensors, N = iterations behind them.
///
/// Their metadata say what they are of: the format's number, iterations, preset, configuration, where the run stood, and
/// the CRC-32 of the tensors. What is read back is checked against it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "damc/method.h"
#include "damc/model.h"
#include "tensor/io/safetensors.h"

namespace damc {

/// Where a run stands, besides its tensors.
struct Progress {
  std::int64_t iterations = 0, images_seen = 0;
  std::int64_t rollbacks = 0;  ///< after divergences, see Method
  std::string data;            ///< fingerprint() of the images it learned from; "" in files of before
  std::string networks = {};   ///< what Training::depends_on() says; "" of nothing
};

/// A state as it was read.
struct SavedState {
  std::filesystem::path file;
  Progress progress;
  Config config;  ///< when it was saved
  StateDict tensors;
};

/// The files PREFIX-N.safetensors of a folder, PREFIX "model" or "state", by their N.
std::map<std::int64_t, std::filesystem::path> checkpoints(const std::filesystem::path& folder,
                                                          const std::string& prefix);

/// Reads a file of weights or of a state, ours or another's, of any format. Throws UserError as read_weights does, for a
/// format of ours that is newer than this program, and where the tensors are not those of the checksum.
Weights read_checkpoint(const std::filesystem::path& file);

/// Reads all tensors of a file that open_checkpoint has opened, and throws UserError where they are not those of the
/// checksum in it: for those who hand them on without read_checkpoint.
void check_tensors(const StoredWeights& weights, const std::filesystem::path& file);

/// What an error of a network's load_state_dict says of a file, with a hint where it has none.
UserError of_weights(const std::filesystem::path& file, const UserError& error);

/// Writes model-N.safetensors, then removes older ones as config.keep_models says.
void save_weights(const std::filesystem::path& folder, const StateDict& weights, const Config& config,
                  const Progress& progress);
inline void save_model(const std::filesystem::path& folder, const Model& model, const Progress& progress) {
  save_weights(folder, model.state_dict(), model.config, progress);
}

/// The model with a configuration and the weights of model-N.safetensors. Throws UserError when they do not fit, or
/// are those of another iteration.
std::unique_ptr<Model> load_model(const std::filesystem::path& file, std::int64_t iterations,
                                  const Config& config);

/// Writes state-N.safetensors, then removes older ones: the newest two stay, to go back to one should the newest turn
/// out to have diverged, and the newest that rollback_state() gives.
void save_state(const std::filesystem::path& folder, const StateDict& state, const Config& config,
                const Progress& progress);
void save_state(const std::filesystem::path& folder, const Model& model, const Method& method,
                const Progress& progress);

/// Reads state-N.safetensors. Throws UserError when it is damaged, holds another iteration, or numbers that are not
/// finite; the hint then names an older state that is whole.
SavedState read_state(const std::filesystem::path& folder, std::int64_t iterations);

/// Restores model and method. Throws UserError when the state does not fit the model.
void load_state(const SavedState& state, Model& model, Method& method);

/// Weights of any file that is read, to begin a run with. With the states of optimisers in it the run goes on after its
/// iterations. Throws UserError as read_checkpoint does, for numbers that are not finite, and when more iterations are
/// behind it than config.iterations.
SavedState read_initial(const std::filesystem::path& file, const Config& config);

/// Sets the model to such weights, and of the method what is there besides; the rest of it begins anew. Returns the names
/// of what neither uses. Throws UserError naming a weight that is missing or has another shape.
std::vector<std::string> load_initial(const SavedState& initial, Model& model, Method& method);

/// The state that a rollback goes to: the newest that `state_every` has saved and no interruption, so that a run that
/// was stopped goes back as far as one that was not; else the oldest. -1: there is none, a rollback begins again.
std::int64_t rollback_state(const std::filesystem::path& folder, std::int64_t state_every);

}  // namespace damc
