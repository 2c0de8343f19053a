/// `damc convert`: files of weights from one format into another, bit for bit.

#include <fmt/ranges.h>

#include <algorithm>

#include "damc/authors_layout.h"
#include "damc/checkpoint.h"
#include "data/file_tree.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/io/safetensors.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/screen.h"
#include "tools/shared_options.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

struct ConvertOptions {
  std::string in, out, to;
};

/// Whether the result is to be PyTorch's: by the ending of its name, or as --to says.
bool to_torch(const ConvertOptions& options) {
  const std::string suffix = ending(options.out);
  constexpr std::string_view torch[] = {".pth", ".pt", ".tar", ".ckpt", ".bin"};
  const std::string named = suffix == ".safetensors"                              ? "safetensors"
                            : std::ranges::find(torch, suffix) != std::end(torch) ? "torch"
                                                                                  : "";
  if (!named.empty() && !options.to.empty() && named != options.to) {
    user_error(fmt::format("--to {}: by its ending '{}' would be {}", options.to, options.out, named),
               "give the file another ending, or leave out --to");
  }
  const std::string& to = named.empty() ? options.to : named;
  if (!to.empty()) return to == "torch";
  user_error(fmt::format("the name of '{}' does not say what it is to be", options.out),
             "end it with .safetensors or .pth, or add --to safetensors or --to torch");
}

/// Tensors by their names, and nothing else: what load_state_dict takes.
TorchValue state_dict(const StoredWeights& weights, std::vector<std::string>& left_out) {
  TorchDict items;
  for (const auto& [name, tensor] : weights.tensors) items.push_back({name, {tensor}});
  for (const auto& [name, text] : weights.metadata) left_out.push_back(name);
  return {std::move(items)};
}

/// "; left out: 3 values (a, b, c)", or nothing.
std::string list_left_out(std::vector<std::string> names) {
  if (names.empty()) return "";
  const std::size_t count = names.size(), shown = std::min<std::size_t>(count, 4);
  names.resize(shown);
  return fmt::format("; left out: {} value{} ({}{})", count, count == 1 ? "" : "s",
                     escaped(fmt::format("{}", fmt::join(names, ", "))), count > shown ? ", ..." : "");
}

void convert(const ConvertOptions& options) {
  const bool torch = to_torch(options);
  check_output_file("OUT", options.out);
  const StoredWeights weights = open_checkpoint(options.in);
  if (weights.tensors.empty())
    user_error(fmt::format("'{}' holds no tensors", options.in), "'damc info FILE' lists what it holds");
  check_tensors(weights, options.in);
  std::vector<std::string> left_out = weights.left_out;
  if (torch) {
    write_torch_file(options.out,
                     has_our_names(weights) ? to_authors(weights, left_out) : state_dict(weights, left_out));
  } else {
    write_safetensors_stream(options.out, weights);
  }
  const auto tell = is_standard_output(options.out) ? show_aside : show;
  tell(fmt::format("{}: {}, {} tensors{}\n", escaped(options.out), torch ? "PyTorch" : "safetensors",
                   weights.tensors.size(), list_left_out(std::move(left_out))));
}

}  // namespace

void add_convert_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "convert",
      "Convert weights between PyTorch's files, the authors' checkpoints and safetensors, bit for bit");
  auto options = std::make_shared<ConvertOptions>();
  command
      ->add_option("in", options->in,
                   "safetensors, or what torch.save has written (.pth, .pth.tar, ..); no code in it is run")
      ->type_name("IN")
      ->required();
  command
      ->add_option(
          "out", options->out,
          "the result; as a PyTorch file, weights of this program become a checkpoint of the authors "
          "(G_state_dict, ..) with the optimisers of a state, others a plain state_dict")
      ->type_name("OUT")
      ->required();
  command->add_option("--to", options->to, "what OUT is to be, where the ending of its name does not say it")
      ->check(one_of({"safetensors", "torch"}));
  command->callback([options] { convert(*options); });
}

}  // namespace damc
