/// `damc sample`: images from a trained model, as a grid, as single files and as an array.

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "damc/batched.h"
#include "data/image_io.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/io/npy.h"
#include "tensor/ops.h"
#include "tensor/record.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/shared_options.h"
#include "tools/status_line.h"
#include "tools/together.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

/// Images per side of the largest grid: 32, or as many as 4096 pixels hold.
std::int64_t most_columns(const Architecture& images) {
  return std::clamp<std::int64_t>(4096 / (images.size + 2), 1, 32);
}

struct SampleOptions {
  explicit SampleOptions(CLI::App& command) : run(command) {}

  RunOptions run;
  std::vector<std::string> sources;  ///< empty: the method's first
  std::optional<std::int64_t> count;
  std::string out;
  bool separate = false, npy = false;
};

constexpr std::int64_t kCount = 64, kMostImages = 10'000'000;
constexpr std::string_view kFile = "file:";

/// Where the latent vectors come from, and what the files with the images are called after.
struct Source {
  std::string name;
  Tensor given;  ///< [N, nz] of a file; undefined where they are drawn
  std::int64_t count;
};

Source read_source(const std::string& file, const Model& model, std::optional<std::int64_t> count) {
  const Tensor z = read_array(file);
  if (z.ndim() != 2 || z.size(1) != model.config.nz || z.size(0) == 0) {
    user_error(fmt::format("'{}' has shape {}, expected [N, {}]", file, z.shape().str(), model.config.nz),
               "latent vectors of this model, as --npy writes them");
  }
  const std::vector<float> values = z.to_vector<float>();
  if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); }))
    user_error(fmt::format("'{}' holds numbers that are not finite", file));
  if (count.value_or(0) > z.size(0))
    user_error(fmt::format("--count {}: '{}' holds {} latent vectors", *count, file, z.size(0)));
  return {fs::path(file).stem().string(), z, count.value_or(z.size(0))};
}

Source drawn_source(const std::string& name, const Model& model, std::optional<std::int64_t> count) {
  if (!model.has_source(name)) {
    user_error(
        fmt::format("--from {}: a run of method {} has no such latent vectors", name, model.config.method),
        fmt::format("it has {}{}", fmt::join(model.sources(), ", "),
                    std::ranges::count(model.sources(), "gaussian") == 0 ? ", gaussian" : ""));
  }
  return {name, {}, count.value_or(kCount)};
}

/// What --from lists. Throws UserError where two would write the same files, or an option has no effect.
std::vector<Source> read_sources(const SampleOptions& options, const Model& model) {
  std::vector<Source> sources;
  for (const std::string& text :
       options.sources.empty() ? std::vector{model.sources().front()} : options.sources) {
    Source source = text.starts_with(kFile) ? read_source(text.substr(kFile.size()), model, options.count)
                                            : drawn_source(text, model, options.count);
    if (std::ranges::find(sources, source.name, &Source::name) != sources.end())
      user_error(fmt::format("--from: samples-{} would be written twice", source.name),
                 "leave out one of the two");
    sources.push_back(std::move(source));
  }
  if (options.run.seed_given() &&
      std::ranges::all_of(sources, [](const Source& s) { return s.given.defined(); }))
    user_error("--seed with latent vectors of a file: nothing is drawn", "leave it out");
  return sources;
}

/// The files of one source in the folder `out`.
struct Outputs {
  Outputs(const fs::path& out, const std::string& source)
      : picture(out / fmt::format("samples-{}.png", source)),
        array(out / fmt::format("samples-{}.npy", source)),
        latents(out / fmt::format("z-{}.npy", source)),
        singles(out / ("samples-" + source)) {}

  fs::path picture, array, latents, singles;
};

/// Throws UserError for a file in the folder of single images that would stay beside `count` new ones, and be taken for
/// one of them.
void refuse_left_over(const fs::path& folder, std::int64_t count) {
  for (const fs::path& entry : entries_of(folder)) {
    const std::string name = entry.filename().string();
    std::int64_t number = -1;
    std::from_chars(name.data(), name.data() + name.size(), number);
    const bool is_replaced = number >= 0 && number < count && name == fmt::format("{:06}.png", number);
    if (is_replaced || name.starts_with('.')) continue;
    user_error(fmt::format("--separate: '{}' would stay beside the {} new images", entry.string(), count),
               "remove that folder first, or give another --out");
  }
}

/// Throws UserError for what could not be written, or kept until then, when all has been computed.
void check_outputs(const SampleOptions& options, const Outputs& files, const Source& source,
                   const Model& model, std::vector<OutputFolder>& folders) {
  check_output_file("--out", files.picture);
  if (options.separate) {
    folders.push_back(make_output_folder(files.singles.string()));
    refuse_left_over(files.singles, source.count);
  }
  if (!options.npy) return;
  for (const fs::path& file : {files.array, files.latents}) check_output_file("--out", file);
  const double needed = 8.0 * static_cast<double>(source.count * model.images.size * model.images.size *
                                                  model.images.channels);  // as floats, twice
  const double memory =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  if (needed > memory) {
    user_error(
        fmt::format("--npy with {} images takes {:.0f} GiB of memory, of which this machine has {:.0f}",
                    source.count, std::ceil(needed / 0x1p30), memory / 0x1p30),
        "draw fewer at a time, with another --seed each, or leave out --npy");
  }
}

/// Writes every image of a batch as folder/NUMBER.png, counting from `first`.
void write_separately(const fs::path& folder, const Tensor& images, std::int64_t first) {
  for (std::int64_t i = 0; i < images.size(0); ++i) {
    write_grid(folder / fmt::format("{:06}.png", first + i), images.narrow(0, i, 1).to_vector<float>(), 1,
               images.size(1), images.size(2), images.size(3), 1, 0);
  }
}

/// All images of one source, a batch at a time, by the processes that share it; the first keeps those that a file needs as
/// a whole, and writes.
void sample_from(const Model& model, const Source& source, const SampleOptions& options, const Outputs& files,
                 const Communicator& among) {
  Generator random = make_generator(model.config, Stream::sampling, model.device);
  const std::int64_t in_grid =
      std::min(source.count, most_columns(model.images) * most_columns(model.images));
  const std::int64_t wanted = options.npy ? source.count : in_grid;
  std::vector<Tensor> kept, latents;
  const std::int64_t batch = evaluation_batch(model.images);
  using One = std::array<Tensor, 1>;
  using Two = std::array<Tensor, 2>;
  CapturedStep<0, 1> draw("sampling", {}, model.device,
                          [&](const auto&) { return One{model.draw(source.name, batch, random)}; });
  CapturedStep<1, 1> decode("decoding", {"z"}, model.device,
                            [&](const auto& in) { return One{model.decode(in[0])}; });
  StatusLine status(0, source.count, "image");
  const auto make = [&](std::int64_t first, std::int64_t n) {
    const Tensor z = source.given.defined() ? source.given.narrow(0, first, n).to(model.device)
                     : n == batch           ? draw({})[0]
                                            : model.draw(source.name, n, random);
    return Two{(n == batch ? decode({z}) : decode.unrecorded({z}))[0].to(Device{}), z.to(Device{})};
  };
  share_batches(among, source.count, batch, &random, make, [&](std::int64_t first, const Two& made) {
    const auto& [images, z] = made;
    if (!among.leads()) return;
    if (options.separate) write_separately(files.singles, images, first);
    if (first < wanted) kept.push_back(images);
    if (options.npy) latents.push_back(z);
    status.update(first + images.size(0), "", false);
  });
  if (!among.leads()) return;
  const Tensor images = cat(kept, 0);
  write_grid(files.picture, images.narrow(0, 0, in_grid),
             static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(in_grid)))));
  status.print(fmt::format("{}: {} images{}", escaped(files.picture.native()), source.count,
                           in_grid < source.count ? fmt::format(", the first {} shown", in_grid) : ""));
  if (!options.npy) return;
  write_npy(files.array, images);
  write_npy(files.latents, cat(latents, 0));
}

void sample(const SampleOptions& options, const Communicator& among) {
  std::optional<LoadedRun> loaded;
  std::vector<Source> sources;
  const fs::path out = options.out;
  std::optional<OutputFolder> folder;
  std::vector<OutputFolder> below;  // which go before it
  together(among, [&] {
    loaded = options.run.load(among);
    sources = read_sources(options, *loaded->model);
    if (std::ranges::find(sources, "damc", &Source::name) == sources.end())
      options.run.refuse_sampler_options("nothing is drawn from the sampler");
    if (!among.leads()) return;
    folder.emplace(make_output_folder(options.out));
    for (const Source& source : sources)
      check_outputs(options, Outputs(out, source.name), source, *loaded->model, below);
  });
  const Model& model = *loaded->model;
  together(among, [&] { check_alike(among, model.config, state_of(loaded->run)); });
  fmt::print("{} after {} iterations, seed {}{}\n", escaped(loaded->run.folder.native()),
             loaded->run.iteration, model.config.seed, sampler_note(model.config));
  for (const Source& source : sources) sample_from(model, source, options, Outputs(out, source.name), among);
}

/// Names of Model::sources(), and files of latent vectors.
CLI::Validator known_source() {
  const CLI::Validator drawn = one_of(source_names());
  return CLI::Validator([drawn](std::string& text) { return text.starts_with(kFile) ? "" : drawn(text); },
                        "");
}

}  // namespace

void add_sample_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("sample", "Draw images from a trained model");
  auto options = std::make_shared<SampleOptions>(*command);
  command
      ->add_option(
          "--from", options->sources,
          "where z comes from: damc (the sampler's q(z)), lebm (Langevin chains on the energy prior from "
          "N(0, I)), resampling (the energy prior by importance resampling), mixture, second-stage (of the "
          "methods "
          "that have one), gaussian (N(0, I) itself), file:Z.npy (given vectors [N, nz]); several with "
          "commas "
          "(default: the first that the run's method has)")
      ->type_name("SOURCE")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(known_source());
  command
      ->add_option("--count", options->count,
                   fmt::format("images per source (default: {}, or all vectors of a file)", kCount))
      ->type_name("N")
      ->check(whole_number(1, kMostImages));
  command->add_option("--out", options->out, "folder for samples-SOURCE.png, made if need be")
      ->type_name("DIR")
      ->required();
  command->add_flag("--separate", options->separate, "also one PNG per image, in samples-SOURCE/");
  command->add_flag(
      "--npy", options->npy,
      "also all images as f32 [N,H,W,C] in [-1, 1], in samples-SOURCE.npy, and their latent vectors "
      "[N, nz] in z-SOURCE.npy");
  options->run.add_sampler_options(*command);
  command->callback(
      [options] { end_with(run_together([&](const Communicator& among) { sample(*options, among); })); });
}

}  // namespace damc
