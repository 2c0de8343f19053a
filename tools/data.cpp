/// `damc data`: looks into data folders, checks them and packs folders of images.

#include <algorithm>

#include "damc/config.h"
#include "data/describe.h"
#include "data/image_folder.h"
#include "data/kinds.h"
#include "data/packed.h"
#include "tensor/error.h"
#include "tensor/text.h"
#include "tools/commands.h"
#include "tools/shared_options.h"

namespace damc {
namespace {

struct DataOptions {
  std::string folder, out, preset;
};

/// Prints a line per check; what fails is the user's to mend.
void verify_folder(const std::string& folder) {
  const std::vector<Check> checks = verify(folder);
  for (const Check& check : checks) {
    fmt::print("{:<6} {}: {}\n", check.ok ? "ok" : "FAILED", escaped(check.subject), escaped(check.finding));
  }
  const auto failed =
      std::count_if(checks.begin(), checks.end(), [](const Check& check) { return !check.ok; });
  if (failed > 0) {
    const std::string& hint = std::ranges::find(checks, false, &Check::ok)->hint;
    user_error(fmt::format("'{}' fails {} of {} checks", folder, failed, checks.size()),
               hint.empty() ? "get the files that failed again from where they come from" : hint);
  }
}

void pack(const DataOptions& options) {
  const Kind& kind = find_kind(preset_config(options.preset).architecture);
  if (!kind.files.empty()) {
    user_error(fmt::format("'{}' is not read from a folder of images", kind.name),
               "celeba64 and celebahq are");
  }
  check_output_folder("OUT", options.out);
  const ImageFiles files = list_images(options.folder);
  if (!files.left_out.empty()) fmt::print("left out: {}\n", escaped(files.left_out));
  const Images images = read_images(files.paths, kind.fitting);
  write_packed(options.out, images);
  fmt::print("{}: {} images of {}x{}x{}\n", escaped(options.out), images.n, images.height, images.width,
             images.channels);
}

}  // namespace

void add_data_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("data", "Look into, check and pack data sets");
  command->require_subcommand(1);
  auto options = std::make_shared<DataOptions>();
  const auto add = [&](const char* name, const char* help) {
    CLI::App* action = command->add_subcommand(name, help);
    action->add_option("folder", options->folder, "data folder")->type_name("DIR")->required();
    return action;
  };
  add("info", "What a folder holds: format, images, labels, mean pixels")->callback([options] {
    fmt::print("{}", to_text(describe(options->folder)));
  });
  add("verify", "Read everything and compare it with the official release")->callback([options] {
    verify_folder(options->folder);
  });
  CLI::App* packing =
      add("pack", "Crop and resize a folder of images once, into one file that loads quickly");
  packing->add_option("out", options->out, "folder for the packed images; a --data for training")
      ->type_name("OUT")
      ->required();
  packing->add_option("--preset", options->preset, "whose size and crop: celeba64 or celebahq")
      ->type_name("P")
      ->required();
  packing->callback([options] { pack(*options); });
}

}  // namespace damc
