/// `damc reconstruct`: images beside what the model makes of them, by its posterior and by its sampler alone (without one: where chains start).

#include <algorithm>
#include <numeric>

#include "damc/batched.h"
#include "damc/metrics/inference.h"
#include "data/image_set.h"
#include "data/kinds.h"
#include "data/layout.h"
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

constexpr const char *kPicture = "reconstructions.png", *kArray = "reconstructions.npy", *kLatents = "z.npy";
constexpr std::int64_t kColumns = 16;        // images beside each other in the picture
constexpr std::int64_t kShown = 128;         // images in the picture
constexpr std::int64_t kSmallFolder = 1000;  // image files; more make a data set with a test part

struct ReconstructOptions {
  explicit ReconstructOptions(CLI::App& command) : run(command) {}

  RunOptions run;
  std::string images, out;
  std::int64_t count = 16;
  bool npy = false;
};

/// The images at `place`: all of an image file or a small folder of them, else the test part of a data
/// folder.
Images load_images(const Config& config, const Architecture& images, const fs::path& place) {
  if (!fs::exists(status_of(place))) user_error(fmt::format("'{}' does not exist", place.string()));
  if (!fs::is_directory(place) || find_layout(place).format == "images") {
    const ImageSet set = find_images(place);
    if (!set.left_out.empty()) fmt::print("left out: {}\n", escaped(set.left_out));
    if (set.source->size() <= kSmallFolder) return read_images(*set.source, find_kind(images.name).fitting);
  }
  return load_data(config, place.string()).test;
}

/// Images [N, H, W, C] and latent vectors [N, nz] of the first ones, and errors over all.
struct Reconstructions {
  Tensor observed, posterior, sampler, z;
  double mse_posterior, mse_sampler;  ///< per pixel value in [-1, 1]
};

/// Errors of images, added up in f64.
double total(const Tensor& errors) {
  const std::vector<double> values = errors.to_vector<double>();
  return std::accumulate(values.begin(), values.end(), 0.0);
}

Reconstructions reconstruct_all(const Model& model, const Images& images, std::int64_t kept,
                                const Communicator& among) {
  Generator random = make_generator(model.config, Stream::evaluation, model.device);
  std::vector<Tensor> observed, posterior, sampler, latents;
  double posterior_error = 0.0, sampler_error = 0.0;
  using Made = std::array<Tensor, 6>;
  CapturedStep<1, 6> make("reconstruction", {"x"}, model.device, [&](const auto& in) -> Made {
    const auto& [x] = in;
    const Tensor z0 = model.start(x, random), z = model.refine(z0, x);
    const Tensor by_posterior = model.decode(z), by_sampler = model.decode(z0);
    return {x, by_posterior, by_sampler, row_squares(sub(by_posterior, x)), row_squares(sub(by_sampler, x)),
            z};
  });
  StatusLine status(0, images.n, "image");
  for_batches(make, images, model.images, model.device, &random, among,
              [&](std::int64_t first, const Made& made) {
                const auto& [x, by_posterior, by_sampler, posterior_squares, sampler_squares, z] = made;
                posterior_error += total(posterior_squares);
                sampler_error += total(sampler_squares);
                if (const std::int64_t shown = std::min(kept - first, x.size(0)); shown > 0) {
                  const auto shown_of = [&](const Tensor& t) { return t.narrow(0, 0, shown).to(Device{}); };
                  observed.push_back(shown_of(x));
                  posterior.push_back(shown_of(by_posterior));
                  sampler.push_back(shown_of(by_sampler));
                  latents.push_back(shown_of(z));
                }
                status.update(first + x.size(0), "", false);
              });
  const auto values = static_cast<double>(images.n * images.image_size());
  return {cat(observed, 0), cat(posterior, 0),        cat(sampler, 0),
          cat(latents, 0),  posterior_error / values, sampler_error / values};
}

/// Three rows of up to kColumns images under each other: observed, posterior, sampler; then the next images.
/// The last three rows are filled up with black.
Tensor interleave(const Reconstructions& all, std::int64_t shown, std::int64_t columns) {
  std::vector<Tensor> rows;
  for (std::int64_t first = 0; first < shown; first += columns) {
    const std::int64_t n = std::min(columns, shown - first);
    for (const Tensor* images : {&all.observed, &all.posterior, &all.sampler}) {
      rows.push_back(images->narrow(0, first, n));
      Shape gap = images->shape();
      gap[0] = columns - n;
      if (n < columns) rows.push_back(Tensor::full(gap, -1.0));
    }
  }
  return cat(rows, 0);
}

/// What all processes begin with.
struct ReconstructStart {
  std::optional<LoadedRun> loaded;
  Images images;
  std::optional<OutputFolder> folder;  // of the first process
};

ReconstructStart begin(const ReconstructOptions& options, const Communicator& among) {
  ReconstructStart start;
  together(among, [&] {
    start.loaded = options.run.load(among);
    const Model& model = *start.loaded->model;
    if (!model.infers()) {
      user_error(fmt::format("reconstruct: method {} finds no z of an image", model.config.method),
                 "'damc sample' draws from its generator");
    }
    if (among.leads()) check_output_folder("--out", options.out);
    start.images = load_images(model.config, model.images, options.images);
    if (options.count < start.images.n) split_off(start.images, options.count);
    if (!among.leads()) return;
    start.folder.emplace(make_output_folder(options.out));
    const fs::path& out = start.folder->path();
    check_output_file("--out", out / kPicture);
    for (const char* array : {kArray, kLatents}) {
      if (options.npy) check_output_file("--out", out / array);
    }
  });
  together(among, [&] {
    check_alike(among, start.loaded->model->config,
                fmt::format("{}\nimages   {}", state_of(start.loaded->run), start.images.n));
  });
  return start;
}

void reconstruct(const ReconstructOptions& options, const Communicator& among) {
  const auto [loaded, images, folder] = begin(options, among);
  const Model& model = *loaded->model;
  const fs::path out = options.out, file = out / kPicture;
  const Reconstructions all = reconstruct_all(model, images, options.npy ? images.n : kShown, among);
  if (!among.leads()) return;

  fmt::print("mse posterior  {:.6f}  over {} images (per pixel value in [-1, 1])\n", all.mse_posterior,
             images.n);
  const char* start = model.Q ? "sampler" : "start";  // of the posterior's chains: q(z given x), or N(0, I)
  fmt::print("mse {:<10} {:.6f}  over {} images (per pixel value in [-1, 1])\n", start, all.mse_sampler,
             images.n);

  const std::int64_t shown = std::min(images.n, kShown), columns = std::min(shown, kColumns);
  write_grid(file, interleave(all, shown, columns), columns);
  if (options.npy) {
    write_npy(out / kArray, all.posterior);
    write_npy(out / kLatents, all.z);
  }
  fmt::print("{}: rows are observed, posterior ({} steps), {} alone; {} of {} images shown\n",
             escaped(file.native()), model.config.test_posterior_steps, start, shown, images.n);
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
      ->type_name("N")
      ->check(whole_number(1, 1'000'000'000))
      ->capture_default_str();
  command->add_flag(
      "--npy", options->npy,
      "also the posterior's images as f32 [N,H,W,C] in [-1, 1] and their latent vectors [N, nz], "
      "in reconstructions.npy and z.npy");
  options->run.add_sampler_options(*command);
  options->run.add_inference_options(*command);
  command->callback([options] {
    end_with(run_together([&](const Communicator& among) { reconstruct(*options, among); }));
  });
}

}  // namespace damc
