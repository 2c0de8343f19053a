/// What a training run begins with, a new one or one that goes on. Everything that can be wrong with a run is found
/// here, before any work is done and before anything is written.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "damc/checkpoint.h"
#include "data/images.h"
#include "tensor/io/file.h"
#include "tools/shared_options.h"

namespace damc {

struct RunStart {
  Config config;
  Split split;
  std::string data;                  ///< fingerprint() of the images
  std::filesystem::path folder;      ///< of the run; empty: it is yet to be made
  std::unique_ptr<FolderLock> lock;  ///< of that folder
  std::optional<SavedState> state;   ///< to go on from; none: it begins at iteration 0
  bool is_initial = false;           ///< whether that is of elsewhere, and need not be whole
  std::vector<std::string> notes;    ///< what is not as it was, a line each
};

// A process of several on its host, `on_host`, takes its own_device() (shared_options.h).

/// A new run, which begins with the weights of the file `init` unless that is empty. Throws UserError when there is no
/// data set, or one that does not fit the preset, and as read_initial does.
RunStart new_run(const Config& config, const std::filesystem::path& init, Part on_host = {});

/// The run in `folder`, from its newest state, with what the command line changes. Throws UserError while another
/// process trains there, when its newest state is damaged, when a change is not one that a run can take, and when the
/// images are not those that it learned from. Without `lock` another process holds the folder for this one.
RunStart resumed_run(const std::filesystem::path& folder, const ConfigOptions& options, bool lock = true,
                     Part on_host = {});

}  // namespace damc
