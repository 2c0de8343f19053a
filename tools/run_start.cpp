#include "tools/run_start.h"

#include "damc/inversion/networks.h"
#include "damc/run_folder.h"
#include "data/kinds.h"
#include "tensor/error.h"
#include "tools/shared_options.h"
#include "tools/shell_word.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

/// Checks what files a configuration needs before any is read, and keeps their places.
void note_files(Config& c) {
  if (find_preset(c.preset).trains == Trains::inversion)
    require_training_files({c.generator, c.encoder, c.vgg});
  for (std::string* file : {&c.data, &c.generator, &c.encoder, &c.vgg}) {
    if (!file->empty()) *file = fs::absolute(*file).string();
  }
  to_toml(c);  // refuses what it cannot keep
}

/// Loads the images that a configuration names and checks that they fit its networks.
void load_images(RunStart& start) {
  const Config& c = start.config;
  start.split = load_data(c);
  const Images& train = start.split.train;
  const Fitting& images = find_kind(c.architecture).fitting;
  if (train.height != images.size || train.width != images.size || train.channels != images.channels) {
    user_error(fmt::format("{} holds images of {}x{}x{}, preset {} needs {}x{}x{}", c.data, train.height,
                           train.width, train.channels, c.preset, images.size, images.size, images.channels));
  }
  start.data = fingerprint(start.split);
  const std::string& note = start.split.note;
  start.notes.push_back(fmt::format("images: {}{}{}", start.split.source, note.empty() ? "" : "; ", note));
}

/// The newest state of a run, if it has any.
std::optional<SavedState> newest_state(const fs::path& folder) {
  const auto states = checkpoints(folder, "state");
  if (!states.empty()) return read_state(folder, states.rbegin()->first);
  const auto models = checkpoints(folder, "model");
  if (models.empty()) return {};
  user_error(fmt::format("{} holds weights after {} iterations, but no state to go on from", folder.string(),
                         models.rbegin()->first),
             "start a new run; to begin this one again, remove its weights");
}

/// What is not as it was when the state was saved. Throws UserError for what must be.
std::vector<std::string> noted_changes(const Config& before, const Config& after, const fs::path& folder) {
  std::vector<std::string> notes;
  for (const auto& [key, was, is] : changes(before, after)) {
    if (is_fixed(*key)) {
      user_error(fmt::format("{} = {}: this run has {} = {}, which cannot change any more", key->name, is,
                             key->name, was),
                 fmt::format("start a new run like it: damc train --config {} --set {}={}",
                             shell_path((folder / "config.toml").string()), key->name, shell_word(is)));
    }
    notes.push_back(fmt::format("changed: {} = {}, was {}", key->name, is, was));
  }
  return notes;
}

}  // namespace

RunStart new_run(const Config& config, const fs::path& init, Part on_host) {
  RunStart start;
  start.config = config;
  start.config.device = own_device(config.device, on_host);
  if (!init.empty()) {
    start.state = read_initial(init, config);
    start.is_initial = true;
  }
  note_files(start.config);
  backend(parse_device(start.config.device));  // a device that is not there is told before the data are read
  load_images(start);
  return start;
}

RunStart resumed_run(const fs::path& folder, const ConfigOptions& options, bool lock, Part on_host) {
  check_run_folder(folder);
  check_run_files(folder);
  RunStart start;
  if (lock) {
    check_output_folder("--resume", folder.string());
    start.lock = std::make_unique<FolderLock>(folder);
  }
  ConfigBuilder builder = ConfigBuilder::from_file(folder / "config.toml");
  const Config before = builder.finish();
  options.overlay(builder);
  start.config = builder.finish();
  start.config.device = own_device(start.config.device, on_host);
  start.folder = folder;
  start.state = newest_state(folder);
  const std::int64_t done = start.state ? start.state->progress.iterations : 0;
  if (start.config.iterations < done) {
    user_error(fmt::format("{} has {} iterations behind it, {} were asked for", folder.string(), done,
                           start.config.iterations));
  }
  const Config& reference = start.state ? start.state->config : before;
  if (reference.preset != start.config.preset) {
    user_error(fmt::format("{}: preset {}, but its state is of preset {}", (folder / "config.toml").string(),
                           start.config.preset, reference.preset));
  }
  note_files(start.config);
  start.notes = noted_changes(reference, start.config, folder);
  backend(parse_device(start.config.device));
  load_images(start);
  const std::string learned = start.state ? start.state->progress.data : "";
  if (!learned.empty() && learned != start.data) {
    user_error(fmt::format("{} holds {}; the run learned from {}", start.config.data, start.data, learned),
               "name the folder where its images are now with --data DIR; a new run learns from others");
  }
  return start;
}

}  // namespace damc
