#include "damc/run_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>

#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

/// The files PREFIX-N.safetensors of a folder by their N.
std::map<std::int64_t, fs::path> numbered_files(const fs::path& folder, const std::string& prefix) {
  std::map<std::int64_t, fs::path> files;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(folder, failure)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix + "-") || !name.ends_with(".safetensors")) continue;
    std::int64_t number = -1;
    const char* first = name.data() + prefix.size() + 1;
    const char* last = name.data() + name.size() - std::strlen(".safetensors");
    const auto [stop, error] = std::from_chars(first, last, number);
    if (error == std::errc{} && stop == last && number >= 0) files[number] = entry.path();
  }
  return files;
}

fs::path numbered(const fs::path& folder, const char* prefix, std::int64_t number) {
  return folder / fmt::format("{}-{:06}.safetensors", prefix, number);
}

std::map<std::string, std::string> metadata(const Model& model, std::int64_t iterations) {
  return {{"format", "pt"},
          {"iterations", std::to_string(iterations)},
          {"preset", model.config.preset},
          {"config", to_toml(model.config)}};
}

}  // namespace

fs::path make_run_folder(const fs::path& parent, const std::string& name) {
  std::error_code failure;
  fs::create_directories(parent, failure);
  if (failure) throw Error(fmt::format("cannot create {}: {}", parent.string(), failure.message()));
  int next = 0;
  for (const auto& entry : fs::directory_iterator(parent)) {
    const std::string existing = entry.path().filename().string();
    int number = -1;
    const auto [stop, error] = std::from_chars(existing.data(), existing.data() + existing.size(), number);
    if (error == std::errc{} && *stop == '-') next = std::max(next, number + 1);
  }
  const fs::path folder = parent / fmt::format("{:05}-{}", next, name);
  if (!fs::create_directory(folder, failure)) {
    throw Error(fmt::format("cannot create {}: {}", folder.string(),
                            failure ? failure.message() : std::string("it exists already")));
  }
  return folder;
}

Run open_run(const fs::path& folder) {
  if (!fs::is_regular_file(folder / "config.toml")) {
    user_error(fmt::format("{} is not a run folder: it has no config.toml", folder.string()),
               "give a folder that 'damc train' made, such as runs/00000-mnist-quick");
  }
  const auto models = numbered_files(folder, "model");
  if (models.empty()) {
    user_error(fmt::format("{} holds no weights (model-N.safetensors) yet", folder.string()),
               "let it train to its first save, or continue it with 'damc train --resume'");
  }
  const auto& [iteration, weights] = *models.rbegin();
  return {folder, read_config(folder / "config.toml"), iteration, weights};
}

std::unique_ptr<Model> load_model(const Run& run, const std::string& device) {
  Config config = run.config;
  if (!device.empty()) config.device = device;
  auto model = std::make_unique<Model>(config);
  try {
    model->load_state_dict(read_safetensors(run.weights).tensors);
  } catch (const UserError& error) {
    throw UserError(fmt::format("{}: {}", run.weights.string(), error.what()));
  }
  return model;
}

void save_model(const fs::path& folder, const Model& model, std::int64_t iterations) {
  write_safetensors(numbered(folder, "model", iterations), model.state_dict(), metadata(model, iterations));
}

void save_state(const fs::path& folder, const Model& model, const Trainer& trainer, std::int64_t iterations) {
  StateDict state = model.state_dict();
  state.merge(trainer.state_dict());
  write_safetensors(numbered(folder, "state", iterations), state, metadata(model, iterations));
  // One older state stays, to go back to should the newest turn out to have diverged.
  auto states = numbered_files(folder, "state");
  for (; states.size() > 2; states.erase(states.begin())) fs::remove(states.begin()->second);
}

std::int64_t newest_state(const fs::path& folder) {
  const auto states = numbered_files(folder, "state");
  return states.empty() ? -1 : states.rbegin()->first;
}

void load_state(const fs::path& folder, std::int64_t iterations, Model& model, Trainer& trainer) {
  const fs::path file = numbered_files(folder, "state").at(iterations);
  const StateDict state = read_safetensors(file).tensors;
  try {
    model.load_state_dict(state);
    trainer.load_state_dict(state);
  } catch (const UserError& error) {
    throw UserError(fmt::format("{}: {}", file.string(), error.what()));
  }
}

void append_line(const fs::path& file, const std::string& line) {
  const std::string text = line + "\n";
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  std::size_t done = 0;
  while (descriptor >= 0 && done < text.size()) {  // once, unless the disk fills up: then the rest says so
    const ssize_t written = ::write(descriptor, text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) break;
    if (written > 0) done += static_cast<std::size_t>(written);
  }
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (done < text.size()) {
    throw Error(fmt::format("cannot write to {}: {}", file.string(), std::strerror(reason)));
  }
}

}  // namespace damc
