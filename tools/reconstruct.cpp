/// `damc reconstruct`: images beside what the model makes of them, by its posterior and by its sampler alone.

#include <algorithm>
#include <numeric>

#include "damc/metrics.h"
#include "data/dataset.h"
#include "data/describe.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tools/commands.h"
#include "tools/shared_options.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kColumns = 16;       // images beside each other in the picture
constexpr std::size_t kSmallFolder = 1000;  // image files; more make a data set with a test part

struct ReconstructOptions {
  explicit ReconstructOptions(CLI::App& command) : run(command) {}

  RunOptions run;
  std::string images, out;
  std::int64_t count = 16;
};

/// Images of files: as the model's data set crops them, or the largest square.
FolderOptions fitting(const Architecture& images) {
  if (images.name == "celeba64" || images.name == "celebahq") return folder_options(images.name);
  return {images.size, images.channels};
}

/// The images at `place`: all of an image file or a small folder of them, else the test part of a data
/// folder.
Images load_images(const Config& config, const Architecture& images, const fs::path& place) {
  if (!fs::exists(place)) user_error(fmt::format("'{}' does not exist", place.string()));
  const bool files = !fs::is_directory(place) || detect_format(place) == "images";
  if (files && list_images(place).size() <= kSmallFolder) return read_image_folder(place, fitting(images));
  return load_data(config, place.string()).test;
}

struct Reconstructions {
  Tensor observed, posterior, sampler;  ///< [N, H, W, C]
};

Reconstructions reconstruct_all(const Model& model, const Images& images) {
  Generator random = make_generator(model.config, Stream::evaluation, model.device);
  const std::int64_t batch = evaluation_batch(model.images);
  std::vector<Tensor> observed, posterior, sampler;
  for (std::int64_t first = 0; first < images.n; first += batch) {
    const Tensor x = to_tensor(images, first, std::min(batch, images.n - first), model.device);
    const Tensor z0 = model.Q.sample(x, random);
    observed.push_back(x.to(Device{}));
    posterior.push_back(model.G.forward(model.refine(z0, x)).value().to(Device{}));
    sampler.push_back(model.G.forward(z0).value().to(Device{}));
  }
  return {cat(observed, 0), cat(posterior, 0), cat(sampler, 0)};
}

/// Three rows of up to kColumns images under each other: observed, posterior, sampler; then the next images.
/// The last three rows are filled up with black.
Tensor interleave(const Reconstructions& all, std::int64_t columns) {
  std::vector<Tensor> rows;
  for (std::int64_t first = 0; first < all.observed.size(0); first += columns) {
    const std::int64_t n = std::min(columns, all.observed.size(0) - first);
    for (const Tensor* images : {&all.observed, &all.posterior, &all.sampler}) {
      rows.push_back(images->narrow(0, first, n));
      Shape gap = images->shape();
      gap[0] = columns - n;
      if (n < columns) rows.push_back(Tensor::full(gap, -1.0));
    }
  }
  return cat(rows, 0);
}

void reconstruct(const ReconstructOptions& options) {
  const LoadedRun loaded = options.run.load();
  const Model& model = *loaded.model;
  Images images = load_images(model.config, model.images, options.images);
  if (options.count < images.n) split_off(images, options.count);
  const Reconstructions all = reconstruct_all(model, images);

  const fs::path file = make_output_folder(options.out) / "reconstructions.png";
  const std::int64_t columns = std::min(images.n, kColumns);
  write_grid(file, interleave(all, columns), columns);
  fmt::print("{}: rows are observed, posterior ({} steps), sampler alone\n", file.string(),
             model.config.test_posterior_steps);
  const auto print_mse = [&](const char* name, const Tensor& made) {
    const Tensor per_image = sum(square(sub(made, all.observed)).reshape({images.n, -1}), 1);
    const std::vector<double> errors = per_image.to_vector<double>();
    const double error =
        std::accumulate(errors.begin(), errors.end(), 0.0) / static_cast<double>(made.numel());
    fmt::print("mse {:<10} {:.6f}  over {} images (per pixel value in [-1, 1])\n", name, error, images.n);
  };
  print_mse("posterior", all.posterior);
  print_mse("sampler", all.sampler);
}

}  // namespace

void add_reconstruct_command(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("reconstruct", "Encode images and decode them again, side by side");
  auto options = std::make_shared<ReconstructOptions>(*command);
  command
      ->add_option(
          "--images", options->images,
          "a PNG or JPEG file, a folder of up to 1000 of them, or a data folder, whose test images are taken")
      ->type_name("PATH")
      ->required();
  command->add_option("--out", options->out, "folder for reconstructions.png, made if need be")
      ->type_name("DIR")
      ->required();
  command->add_option("--count", options->count, "at most this many images, the first ones")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback([options] { reconstruct(*options); });
}

}  // namespace damc
