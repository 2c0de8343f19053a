#include "damc/checkpoint.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <span>

#include "damc/authors_layout.h"
#include "tensor/error.h"
#include "tensor/io/file.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kFormat = 1;
constexpr const char* kFormatKey = "damc_format";
constexpr const char* kNetworks = "networks";
constexpr const char* kChecksum = "crc32";  // of the tensors' bytes, by their names

fs::path numbered(const fs::path& folder, const char* prefix, std::int64_t number) {
  return folder / fmt::format("{}-{:06}.safetensors", prefix, number);
}

std::map<std::string, std::string> metadata(const Config& config, const Progress& progress) {
  std::map<std::string, std::string> all{{"format", "pt"},  // what others call the layout
                                         {kFormatKey, std::to_string(kFormat)},
                                         {"iterations", std::to_string(progress.iterations)},
                                         {"images_seen", std::to_string(progress.images_seen)},
                                         {"rollbacks", std::to_string(progress.rollbacks)},
                                         {"data", progress.data},
                                         {"preset", config.preset},
                                         {"config", to_toml(config)}};
  if (!progress.networks.empty()) all[kNetworks] = progress.networks;
  return all;
}

/// The CRC-32 of what it is given.
class Checksum {
 public:
  void add(std::span<const std::byte> bytes) {
    sum_ = crc32_z(sum_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  }
  std::string str() const { return fmt::format("{:08x}", sum_); }

 private:
  uLong sum_ = crc32_z(0, nullptr, 0);
};

void write(const fs::path& file, const StateDict& tensors, std::map<std::string, std::string> metadata) {
  Checksum sum;
  for (const auto& [name, tensor] : tensors) sum.add(stored(tensor).read());
  metadata[kChecksum] = sum.str();
  write_safetensors(file, tensors, metadata);
}

/// A number of the metadata; files of before lack some.
std::int64_t number(const Weights& read, const fs::path& file, const char* key, std::int64_t otherwise) {
  const auto found = read.metadata.find(key);
  if (found == read.metadata.end()) return otherwise;
  const std::string& text = found->second;
  std::int64_t value = -1;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size() || value < 0) {
    user_error(fmt::format("{}: its metadata say '{}' for {}", file.string(), text, key));
  }
  return value;
}

/// Throws UserError where tensors of ours have another checksum than was written with them.
void compare_checksum(const StoredWeights& weights, const Checksum& sum, const fs::path& file) {
  const auto written = weights.metadata.find(kChecksum);
  if (written == weights.metadata.end() || written->second == sum.str()) return;
  user_error(fmt::format("{}: its tensors are not those that were written: CRC-32 {}, then {}", file.string(),
                         sum.str(), written->second),
             "the file is damaged; get it again");
}

/// Whether it is a file of ours as it was written, whose metadata may hold a checksum.
bool may_have_checksum(const StoredWeights& weights) {
  return weights.format == "safetensors" && weights.metadata.contains(kFormatKey);
}

/// Throws UserError unless a file's content is of the iteration that its name says.
void check_iterations(const Weights& read, const fs::path& file, std::int64_t expected) {
  const std::int64_t found = number(read, file, "iterations", expected);
  if (found == expected) return;
  user_error(
      fmt::format("{} holds what was there after iteration {}, not {}", file.string(), found, expected),
      "the file was renamed or copied over another");
}

template <class T>
bool all_finite(const Tensor& t) {
  const std::span<const T> values(static_cast<const T*>(t.raw()), static_cast<std::size_t>(t.numel()));
  return std::all_of(values.begin(), values.end(), [](T value) { return std::isfinite(value); });
}

void check_finite(const StateDict& tensors, const fs::path& file) {
  for (const auto& [name, t] : tensors) {
    const bool finite = t.dtype() == Dtype::f32   ? all_finite<float>(t)
                        : t.dtype() == Dtype::f64 ? all_finite<double>(t)
                                                  : true;
    if (!finite) user_error(fmt::format("{}: {} holds numbers that are not finite", file.string(), name));
  }
}

SavedState read_whole_state(const fs::path& file, std::int64_t iterations) {
  Weights read = read_checkpoint(file);
  check_iterations(read, file, iterations);
  check_finite(read.tensors, file);
  const auto config = read.metadata.find("config");
  if (config == read.metadata.end()) {
    user_error(fmt::format("{}: there is no configuration in it", file.string()),
               "is this the state of a run?");
  }
  SavedState state{file, {}, ConfigBuilder::from_text(config->second, file).finish(), {}};
  state.progress = {.iterations = iterations,
                    .images_seen = number(read, file, "images_seen", iterations * state.config.batch),
                    .rollbacks = std::min<std::int64_t>(number(read, file, "rollbacks", 0), 1000),
                    .data = read.metadata["data"],
                    .networks = read.metadata[kNetworks]};
  state.tensors = std::move(read.tensors);
  return state;
}

bool is_whole_state(const fs::path& file, std::int64_t iterations) {
  try {
    read_whole_state(file, iterations);
    return true;
  } catch (const UserError&) {
    return false;
  }
}

}  // namespace

std::map<std::int64_t, fs::path> checkpoints(const fs::path& folder, const std::string& prefix) {
  std::map<std::int64_t, fs::path> files;
  for (const fs::path& entry : entries_of(folder)) {
    const std::string name = entry.filename().string();
    if (!name.starts_with(prefix + "-") || !name.ends_with(".safetensors")) continue;
    std::int64_t iterations = -1;
    const char* first = name.data() + prefix.size() + 1;
    const char* last = name.data() + name.size() - std::strlen(".safetensors");
    const auto [stop, error] = std::from_chars(first, last, iterations);
    if (error == std::errc{} && stop == last && iterations >= 0) files[iterations] = entry;
  }
  return files;
}

Weights read_checkpoint(const fs::path& file) {
  StoredWeights open = open_checkpoint(file);
  Checksum sum;
  for (auto& [name, tensor] : open.tensors) {
    tensor.read = [&sum, read = tensor.read] {
      std::vector<std::byte> bytes = read();
      sum.add(bytes);
      return bytes;
    };
  }
  Weights read = read_all(open);
  const std::int64_t format = number(read, file, kFormatKey, 0);
  if (format > kFormat) {
    user_error(
        fmt::format("{} has format {}; this program reads formats up to {}", file.string(), format, kFormat),
        "a newer damc wrote it; use that one");
  }
  if (may_have_checksum(open)) compare_checksum(open, sum, file);
  return read;
}

void check_tensors(const StoredWeights& weights, const fs::path& file) {
  if (!may_have_checksum(weights)) return;
  Checksum sum;
  for (const auto& [name, tensor] : weights.tensors) sum.add(tensor.read());
  compare_checksum(weights, sum, file);
}

UserError of_weights(const fs::path& file, const UserError& error) {
  const std::string what = error.what();
  const char* hint = "\nhint: check the preset and its widths (nz, ngf, nif, nemb, ndf, width)";
  return UserError(
      fmt::format("{}: {}{}", file.string(), what, what.find("\nhint: ") == std::string::npos ? hint : ""));
}

void save_weights(const fs::path& folder, const StateDict& weights, const Config& config,
                  const Progress& progress) {
  write(numbered(folder, "model", progress.iterations), weights, metadata(config, progress));
  const auto keep = static_cast<std::size_t>(config.keep_models);
  auto models = checkpoints(folder, "model");
  for (; keep > 0 && models.size() > keep; models.erase(models.begin())) fs::remove(models.begin()->second);
}

std::unique_ptr<Model> load_model(const fs::path& file, std::int64_t iterations, const Config& config) {
  auto model = std::make_unique<Model>(config);
  const Weights read = read_checkpoint(file);
  check_iterations(read, file, iterations);
  try {
    model->load_state_dict(read.tensors);
  } catch (const UserError& error) {
    throw of_weights(file, error);
  }
  return model;
}

void save_state(const fs::path& folder, const StateDict& state, const Config& config,
                const Progress& progress) {
  write(numbered(folder, "state", progress.iterations), state, metadata(config, progress));
  auto states = checkpoints(folder, "state");
  for (int kept = 0; kept < 2 && !states.empty(); ++kept) states.erase(std::prev(states.end()));
  states.erase(rollback_state(folder, config.state_every));
  for (const auto& [iterations, file] : states) fs::remove(file);
}

void save_state(const fs::path& folder, const Model& model, const Method& method, const Progress& progress) {
  StateDict state = model.state_dict();
  state.merge(method.state_dict());
  save_state(folder, state, model.config, progress);
}

SavedState read_state(const fs::path& folder, std::int64_t iterations) {
  const auto states = checkpoints(folder, "state");
  const fs::path file = states.at(iterations);
  try {
    return read_whole_state(file, iterations);
  } catch (const UserError& error) {
    if (!std::ifstream(file)) throw;  // it may be whole
    const auto older =
        std::find_if(std::make_reverse_iterator(states.find(iterations)), states.rend(),
                     [](const auto& state) { return is_whole_state(state.second, state.first); });
    if (older == states.rend()) throw;
    const std::string message = error.what();
    user_error(message.substr(0, message.rfind("\nhint: ")),
               fmt::format("{} is whole: remove the damaged file to go on from iteration {}",
                           older->second.filename().string(), older->first));
  }
}

void load_state(const SavedState& state, Model& model, Method& method) {
  try {
    load_all(state.tensors, model, method);
  } catch (const UserError& error) {
    throw of_weights(state.file, error);
  }
}

SavedState read_initial(const fs::path& file, const Config& config) {
  Weights read = read_checkpoint(file);
  check_finite(read.tensors, file);
  SavedState initial{file, {}, config, std::move(read.tensors)};
  const bool continues =
      std::ranges::any_of(initial.tensors, [](const auto& item) { return item.first.starts_with("adam_"); });
  if (!continues) return initial;
  const std::int64_t iterations = number(read, file, "iterations", 0);
  if (iterations > config.iterations) {
    user_error(fmt::format("{} has {} iterations behind it, {} were asked for", file.string(), iterations,
                           config.iterations),
               "--iterations counts those as well");
  }
  initial.progress = {.iterations = iterations,
                      .images_seen = number(read, file, "images_seen", iterations * config.batch),
                      .rollbacks = 0,
                      .data = ""};
  return initial;
}

std::vector<std::string> load_initial(const SavedState& initial, Model& model, Method& method) {
  StateDict state = method.state_dict();
  const StateDict weights = model.state_dict();
  std::vector<std::string> unused;
  for (const auto& [name, tensor] : initial.tensors) {
    if (!state.contains(name) && !weights.contains(name)) unused.push_back(name);
  }
  SavedState whole = initial;
  whole.tensors.merge(state);  // what the file does not have
  load_state(whole, model, method);
  return unused;
}

std::int64_t rollback_state(const fs::path& folder, std::int64_t state_every) {
  const auto states = checkpoints(folder, "state");
  const auto regular = std::find_if(states.rbegin(), states.rend(), [&](const auto& state) {
    return state_every > 0 && state.first % state_every == 0;
  });
  if (regular != states.rend()) return regular->first;
  return states.empty() ? -1 : states.begin()->first;
}

}  // namespace damc
