/// `damc movie`: the pictures of a run over its training as an animated PNG.

#include <algorithm>

#include "data/apng.h"
#include "data/image_io.h"
#include "tensor/error.h"
#include "tensor/text.h"
#include "tools/canvas.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/shared_options.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

struct MovieOptions {
  std::string run, of, out;
  std::int64_t milliseconds = 400;
};

/// The pictures that were asked for, else those that come first of: samples, whatever there is.
const std::string& chosen(const NumberedPictures& pictures, const MovieOptions& options) {
  if (pictures.empty()) {
    user_error(fmt::format("{} has no pictures", options.run),
               "they are drawn every grid_every iterations of a training");
  }
  if (options.of.empty()) {
    const auto samples = pictures.lower_bound("samples-");
    return samples != pictures.end() ? samples->first : pictures.begin()->first;
  }
  const auto found = pictures.find(options.of);
  if (found != pictures.end()) return found->first;
  std::vector<std::string> kinds;
  for (const auto& [kind, files] : pictures) kinds.push_back(kind);
  std::string list;
  for (const std::string& kind : kinds) list += (list.empty() ? "" : ", ") + escaped(kind);
  user_error(fmt::format("{} has no pictures '{}'", options.run, options.of),
             did_you_mean(options.of, kinds) + "there are " + list);
}

/// A picture below the iteration that it is of.
Images frame(const fs::path& file, std::int64_t iteration) {
  const Images picture = read_image(file);
  const std::int64_t scale = std::max<std::int64_t>(picture.width / 400, 1), edge = 4 * scale;
  const std::int64_t caption = Canvas::text_height(scale) + 2 * edge;
  Canvas canvas(picture.height + caption, picture.width);
  canvas.text(edge, edge, fmt::format("iteration {}", iteration), {40, 40, 40}, scale);
  canvas.image(0, caption, picture);
  return canvas.picture();
}

void movie(const MovieOptions& options) {
  check_run_folder(options.run);
  const NumberedPictures pictures = numbered_pictures(fs::path(options.run) / "grids");
  const std::string& kind = chosen(pictures, options);
  const std::map<std::int64_t, fs::path>& files = pictures.at(kind);
  const fs::path out = options.out.empty() ? fs::path(options.run) / (kind + ".png") : fs::path(options.out);
  check_output_file("--out", out, {".png", ".apng"});
  std::error_code different;  // also where there is no such file yet
  for (const auto& [iteration, file] : files) {
    if (fs::equivalent(file, out, different))
      user_error(fmt::format("--out '{}' is one of the pictures", out.string()), "give another name");
  }
  ApngWriter writer(out, static_cast<std::int64_t>(files.size()));
  std::int64_t height = 0, width = 0;
  for (const auto& [iteration, file] : files) {
    const Images image = frame(file, iteration);
    if (height == 0) height = image.height, width = image.width;
    if (image.height != height || image.width != width) {
      user_error(fmt::format("'{}' has another size than the pictures before it", escaped(file.native())),
                 "were keys of the model changed in between? Remove the older ones");
    }
    const bool last = iteration == files.rbegin()->first;
    writer.add(image, last ? 4 * options.milliseconds : options.milliseconds);  // stays, to be looked at
  }
  writer.commit();
  fmt::print("{}: {} frames of {}x{}\n", escaped(out.native()), files.size(), width, height);
}

}  // namespace

void add_movie_command(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("movie", "Show the pictures of a run over its training as an animated PNG");
  auto options = std::make_shared<MovieOptions>();
  command->add_option("run", options->run, "run folder")->type_name("RUN")->required();
  command
      ->add_option(
          "--of", options->of,
          "which pictures of its grids/: samples-damc, samples-lebm, reconstructions (default: samples)")
      ->type_name("KIND");
  command
      ->add_option("--milliseconds", options->milliseconds, "of a frame; the last stays four times as long")
      ->type_name("N")
      ->check(whole_number(10, 16000))
      ->capture_default_str();
  command
      ->add_option("--out", options->out, "the file, for browsers and viewers (default: KIND.png in the run)")
      ->type_name("FILE.png");
  command->callback([options] { movie(*options); });
}

}  // namespace damc
