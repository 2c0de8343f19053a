/// `damc info`: this build and machine; or what a run or a file of weights holds.

#include <fmt/ranges.h>
#include <algorithm>
#include <exception>

#include "damc/authors_layout.h"
#include "damc/presets.h"
#include "data/file_tree.h"
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/text.h"
#include "tools/commands.h"
#include "tools/device_check.h"
#include "tools/screen.h"
#include "tools/shared_options.h"
#include "tools/version.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

void print_build() {
  fmt::print("{}\n", version_text());
  fmt::print("cpu      {}\n", cpu_summary());
  fmt::print("cuda     {}\n", cuda_summary());
  fmt::print("methods\n");
  for (const MethodParts& method : methods()) fmt::print("  {:<10} {}\n", method.name, method.what);
}

/// Every device that there is: the CPU and, where it can be opened, the first GPU.
std::vector<std::string> present_devices() {
  std::vector<std::string> devices{"cpu"};
  try {
    backend({DeviceType::cuda, 0});
    devices.push_back("cuda");
  } catch (const UserError&) {
  }
  return devices;
}

void check_devices(const std::vector<std::string>& names) {
  bool passed = true;
  for (const std::string& name : names) {
    const Device device = parse_device(name);
    backend(device);  // one that is not there is the user's mistake
    passed &= check_device(device, [&](const CheckedPart& part) {
      fmt::print("{:<8} {:<16} {:<7} {}\n", device.str(), part.name, part.passed ? "passed" : "FAILED",
                 part.found);
      flush_output();
    });
  }
  if (!passed) {
    try {
      print_build();
    } catch (const std::exception& error) {  // of a driver that is broken altogether
      fmt::print("{}\n", error.what());
    }
    throw Error("a device does not compute as it should; please report the lines above");
  }
}

/// The network that a tensor belongs to by its prefix; the sampler's parts are told apart.
std::string network_of(const std::string& name) {
  const std::size_t first = name.find('.');
  const std::string top = name.substr(0, first);
  if (first == std::string::npos || (top != "Q" && top != "Q_dummy")) return top;
  return name.substr(0, name.find('.', first + 1));
}

/// Parameters per network of a file of weights.
void print_networks(const StoredWeights& weights) {
  std::map<std::string, std::int64_t> counts;
  for (const auto& [name, tensor] : weights.tensors) counts[network_of(name)] += tensor.numel();
  for (const auto& [network, count] : counts)
    fmt::print("{:<18} {:>12} parameters\n", escaped(network), count);
}

void print_weights(const fs::path& file) {
  const StoredWeights weights = open_checkpoint(file);
  for (const auto& [name, tensor] : weights.tensors)
    fmt::print("{:<44} {:<5} [{}]\n", escaped(name), tensor.dtype, fmt::join(tensor.shape, ", "));
  for (const auto& [key, value] : weights.metadata) {
    const auto lines = std::count(value.begin(), value.end(), '\n');
    fmt::print("metadata {}: {}\n", escaped(key),
               lines > 0 ? fmt::format("{} lines", lines) : escaped(value));
  }
  for (const std::string& name : weights.left_out)
    fmt::print("{}: of a type that is not read\n", escaped(name));
  fmt::print("{}: {}, {} tensors, {} bytes\n", escaped(file.native()), weights.format, weights.tensors.size(),
             regular_file_size(file));
  print_networks(weights);
}

void print_run(const fs::path& folder) {
  const Run run = open_run(folder);
  fmt::print("{}: preset {}, {} of {} iterations\n", escaped(folder.native()), run.config.preset,
             run.iteration, run.config.iterations);
  print_networks(open_checkpoint(run.weights));
  const FileTree tree = list_files(folder);
  for (const fs::path& file : tree.files) {
    fmt::print("{:<36} {:>12} bytes\n", escaped(file.lexically_relative(folder).native()),
               regular_file_size(file));
  }
  for (const auto& [place, reason] : tree.unreadable)
    fmt::print("{:<36} cannot be read: {}\n", escaped(place.lexically_relative(folder).native()),
               reason.message());
  fmt::print("\n{}", to_toml(run.config));
}

}  // namespace

void add_info_command(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("info", "Show this build and its devices, or what a run or file holds");
  auto place = std::make_shared<std::string>();
  command
      ->add_option("what", *place,
                   "a run folder or a file of weights: safetensors or PyTorch's (default: this build)")
      ->type_name("PATH");
  auto checked = std::make_shared<std::vector<std::string>>();
  CLI::Option* check = command->add_option(
      "--check", *checked, "test that these devices compute as they should (all: every one there is)");
  check->type_name("all,cpu,cuda,cuda:N")->delimiter(',')->expected(0, 64);
  command->callback([place, checked, check] {
    if (check->count() > 0) {
      if (!place->empty()) user_error("info --check with a file or run", "it tests devices");
      // Without a value CLI11 gives an empty one.
      const bool all = checked->empty() || checked->front().empty() || checked->front() == "all";
      check_devices(all ? present_devices() : *checked);
    } else if (place->empty()) {
      print_build();
    } else if (fs::is_directory(status_of(*place))) {
      print_run(*place);
    } else {
      print_weights(*place);
    }
  });
}

}  // namespace damc
