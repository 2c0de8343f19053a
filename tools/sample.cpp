/// `damc sample`: images from a trained model, as a grid, as single files and as an array.

#include <algorithm>
#include <cmath>

#include "damc/metrics.h"
#include "data/image_io.h"
#include "tensor/error.h"
#include "tensor/npy.h"
#include "tensor/ops.h"
#include "tensor/record.h"
#include "tools/commands.h"
#include "tools/shared_options.h"

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
  std::vector<std::string> sources = {"damc"};
  std::int64_t count = 64;
  std::string out;
  bool separate = false, npy = false;
};

/// Writes every image of a batch as folder/NUMBER.png, counting from `first`.
void write_separately(const fs::path& folder, const Tensor& images, std::int64_t first) {
  for (std::int64_t i = 0; i < images.size(0); ++i) {
    write_grid(folder / fmt::format("{:06}.png", first + i), images.narrow(0, i, 1).to_vector<float>(), 1,
               images.size(1), images.size(2), images.size(3), 1, 0);
  }
}

/// All images of one source, a batch at a time; kept are only those that a file needs as a whole.
void sample_from(const Model& model, const std::string& source, const SampleOptions& options,
                 const fs::path& out) {
  Generator random = make_generator(model.config, Stream::sampling, model.device);
  const fs::path singles = out / ("samples-" + source);
  if (options.separate) make_output_folder(singles.string());
  const std::int64_t in_grid =
      std::min(options.count, most_columns(model.images) * most_columns(model.images));
  const std::int64_t wanted = options.npy ? options.count : in_grid;
  std::vector<Tensor> kept;
  const std::int64_t batch = evaluation_batch(model.images);
  std::int64_t n = batch;  // less in the last batch only, which is not recorded
  Captured draw("sampling", {}, model.device, [&](const Tensors&) {
    return Tensors{model.G.forward(draw_latents(model, source, n, random)).value()};
  });
  for (std::int64_t done = 0; done < options.count;) {
    n = std::min(batch, options.count - done);
    const Tensor images = (n == batch ? draw({}) : draw.unrecorded({}))[0].to(Device{});
    if (options.separate) write_separately(singles, images, done);
    if (done < wanted) kept.push_back(images);
    done += n;
  }
  const Tensor images = cat(kept, 0);
  const fs::path picture = out / fmt::format("samples-{}.png", source);
  write_grid(picture, images.narrow(0, 0, in_grid),
             static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(in_grid)))));
  fmt::print("{}: {} images{}\n", picture.string(), options.count,
             in_grid < options.count ? fmt::format(", the first {} shown", in_grid) : "");
  if (options.npy) write_npy(out / fmt::format("samples-{}.npy", source), images);
}

void sample(const SampleOptions& options) {
  const LoadedRun loaded = options.run.load();
  const fs::path out = make_output_folder(options.out);
  fmt::print("{} after {} iterations, seed {}\n", loaded.run.folder.string(), loaded.run.iteration,
             loaded.model->config.seed);
  for (const std::string& source : options.sources) sample_from(*loaded.model, source, options, out);
}

}  // namespace

void add_sample_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("sample", "Draw images from a trained model");
  auto options = std::make_shared<SampleOptions>(*command);
  command
      ->add_option(
          "--from", options->sources,
          "where z comes from: damc (the sampler's q(z)), lebm (Langevin chains on the energy prior from "
          "N(0, I)), gaussian (N(0, I) itself); several with commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember(latent_sources()))
      ->capture_default_str();
  command->add_option("--count", options->count, "images per source")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--out", options->out, "folder for samples-SOURCE.png, made if need be")
      ->type_name("DIR")
      ->required();
  command->add_flag("--separate", options->separate, "also one PNG per image, in samples-SOURCE/");
  command->add_flag("--npy", options->npy,
                    "also all images as f32 [N,H,W,C] in [-1, 1], in samples-SOURCE.npy");
  command->callback([options] { sample(*options); });
}

}  // namespace damc
