/// `damc data`: looks into data folders, checks them and packs folders of images.

#include <algorithm>

#include "damc/config.h"
#include "data/describe.h"
#include "data/image_set.h"
#include "data/kinds.h"
#include "data/packed.h"
#include "tensor/error.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/shared_options.h"

namespace damc {
namespace {

constexpr std::int64_t kMostImages = 4'000'000'000;  // what the file format counts

struct PackOptions {
  std::string out, preset, crop, filter;
  std::int64_t size = 0;  // 0: the preset's
  std::int64_t max_images = kMostImages;
  bool grey = false;
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

/// What the images become: as the preset says or the release wants it, overlaid by what was asked for.
Fitting fitting_of(const PackOptions& options, const Fitting& preset, const ImageSet& set) {
  Fitting fitting = set.fitted(preset);
  if (options.size > 0) fitting.size = options.size;
  if (options.grey) fitting.channels = 1;
  if (options.crop == "centre") fitting.crop = Crop::largest_square;
  if (options.crop == "face") fitting.crop = Crop::aligned_face;
  if (options.filter == "bilinear") fitting.filter = Filter::bilinear;
  if (options.filter == "lanczos") fitting.filter = Filter::lanczos;
  return fitting;
}

/// At most --max-images of the training and of the test images; all are training images where nothing divides them.
void pack(const std::string& folder, const PackOptions& options) {
  if (options.preset.empty() && options.size == 0) {
    user_error("data pack needs --preset P or --size N",
               "give the preset that is to be trained on the images");
  }
  Fitting preset;
  if (!options.preset.empty()) preset = find_kind(preset_config(options.preset).architecture).fitting;
  check_output_folder("OUT", options.out);
  std::error_code different;  // also where there is no OUT yet
  if (std::filesystem::equivalent(folder, options.out, different)) {
    user_error(fmt::format("OUT '{}' is the folder of the images: a pack in it would be read in their place",
                           options.out),
               "give another folder");
  }
  const ImageSet set = find_images(folder);
  const Fitting fitting = fitting_of(options, preset, set);
  if (!set.left_out.empty()) fmt::print("left out: {}\n", escaped(set.left_out));
  const std::int64_t n = set.source->size();
  const std::int64_t n_train = set.n_train > 0 && set.n_train < n ? set.n_train : n;
  const ImageRange train{0, std::min(n_train, options.max_images)};
  const ImageRange test{n_train, std::min(n - n_train, options.max_images)};
  pack_images(options.out, *set.source, train, test, fitting, {set.title, test.count > 0 ? train.count : 0});
  fmt::print("{}: {} images of {}x{}x{}\n", escaped(options.out), train.count + test.count, fitting.size,
             fitting.size, fitting.channels);
}

void add_pack_command(CLI::App& action, std::shared_ptr<const std::string> folder) {
  auto options = std::make_shared<PackOptions>();
  action.add_option("out", options->out, "folder for the packed images; a --data for training")
      ->type_name("OUT")
      ->required();
  action.add_option("--preset", options->preset, "whose size, channels and crop")->type_name("P");
  action.add_option("--size", options->size, "height and width in pixels, instead of the preset's")
      ->type_name("N")
      ->check(whole_number(1, 4096));
  action.add_option("--crop", options->crop, "centre: the largest square; face: CelebA's 140 of 178 pixels")
      ->type_name("C")
      ->check(CLI::IsMember({"centre", "face"}));
  action
      .add_option("--filter", options->filter,
                  "how images are resized: bilinear or lanczos, both antialiased")
      ->type_name("F")
      ->check(CLI::IsMember({"bilinear", "lanczos"}));
  action.add_flag("--grey", options->grey, "one channel instead of three");
  action.add_option("--max-images", options->max_images, "at most so many training and so many test images")
      ->type_name("N")
      ->check(whole_number(1, kMostImages));
  action.callback([options, folder] { pack(*folder, *options); });
}

}  // namespace

void add_data_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("data", "Look into, check and pack data sets");
  command->require_subcommand(1);
  auto folder = std::make_shared<std::string>();
  const auto add = [&](const char* name, const char* help) {
    CLI::App* action = command->add_subcommand(name, help);
    action->add_option("folder", *folder, "data folder")->type_name("DIR")->required();
    return action;
  };
  add("info", "What a folder holds: format, images, labels, mean pixels")->callback([folder] {
    fmt::print("{}", to_text(describe(*folder)));
  });
  add("verify", "Read everything and compare it with the official release")->callback([folder] {
    verify_folder(*folder);
  });
  add_pack_command(*add("pack", "Crop and resize images once, into one file that training maps into memory"),
                   folder);
}

}  // namespace damc
