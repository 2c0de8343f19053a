/// `damc invert`: the W+ of images under a pretrained StyleGAN, and the images that it makes of them.

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <span>

#include "damc/batched.h"
#include "damc/checkpoint.h"
#include "damc/inversion/descent.h"
#include "damc/inversion/energy.h"
#include "damc/inversion/networks.h"
#include "damc/inversion/sampler.h"
#include "damc/metrics/frechet.h"
#include "damc/metrics/kid.h"
#include "damc/metrics/pixel_components.h"
#include "data/dataset.h"
#include "data/image_set.h"
#include "data/layout.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/io/npy.h"
#include "tensor/ops.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/feature_distances.h"
#include "tools/fitting_batch.h"
#include "tools/shared_options.h"
#include "tools/status_line.h"
#include "tools/stop_signal.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kColumns = 8;  // images beside each other in the picture
constexpr std::int64_t kShown = 32;   // images in the picture

struct InvertOptions {
  std::string generator, encoder, sampler, energy, vgg, inception, images, out, from, device = "cpu",
                                                                                      precision = "fp32";
  std::optional<std::int64_t> count;
  std::int64_t batch = 8, seed = 1;
  double sigma = 1.0;
  DescentOptions descent;
  bool in_domain = false, npy = false, pca_fd = false;
};

/// A network of a checkpoint of DAMC; none where no file is given.
template <class Make>
auto made_from(const char* option, const std::string& file, const Make& make) -> decltype(make(Weights{})) {
  if (file.empty()) return nullptr;
  try {
    return make(read_checkpoint(file));
  } catch (const UserError& error) {
    throw UserError(fmt::format("{} '{}': {}", option, file, error.what()));
  }
}

/// Throws UserError when a checkpoint says that it learned with other networks.
void check_networks(const Weights& checkpoint, const InversionNetworks& nets) {
  const auto learned = checkpoint.metadata.find("networks");
  if (learned == checkpoint.metadata.end()) return;
  for (const auto& [name, checksum] : nets.checksums) {
    if (name == "vgg" || learned->second.find(name + " " + checksum) != std::string::npos) continue;
    user_error(fmt::format("it learned with {}; --{} is {}", learned->second, name, checksum),
               "take the files that the run was trained with");
  }
}

/// The networks that an inversion works with; all but the generator may be null.
struct Networks {
  Networks(const InvertOptions& o, Device device)
      : frozen(read_inversion_networks({o.generator, o.encoder, o.vgg}, device,
                                       !o.sampler.empty() || !o.energy.empty(),
                                       products_of(parse_precision(o.precision), device))),
        G(*frozen.generator),
        sampler(made_from("--sampler", o.sampler,
                          [&](const Weights& checkpoint) {
                            check_networks(checkpoint, frozen);
                            return std::make_unique<InversionSampler>(checkpoint.tensors, device, Dtype::f32,
                                                                      frozen.encoder.get());
                          })),
        energy(made_from("--energy", o.energy, [&](const Weights& checkpoint) {
          check_networks(checkpoint, frozen);
          return read_energy(checkpoint.tensors, G.sizes().latents(), device);
        })) {
    if (sampler) check_fit("--sampler", o.sampler, sampler->encoder().sizes(), G, o.generator);
  }

  const InversionNetworks frozen;
  const StyleGan& G;
  const std::unique_ptr<InversionSampler> sampler;
  const std::unique_ptr<EnergyNet> energy;
};

/// Throws UserError for options that do not go together.
void check(const InvertOptions& o) {
  const auto need = [](bool needed, const std::string& file, const char* what, const char* option) {
    if (needed && file.empty())
      user_error(fmt::format("{} needs {} FILE", what, option),
                 "its weights; 'damc invert --help' says which");
  };
  need(o.in_domain, o.encoder, "--in-domain", "--encoder");
  need(o.from == "encoder", o.encoder, "--from encoder", "--encoder");
  need(o.from == "damc", o.sampler, "--from damc", "--sampler");
  check_output_folder("--out", o.out);
}

/// The images to invert, fitted to the generator: of a release its test part, else all, `most` of them.
Images read_test_images(const fs::path& place, std::int64_t size, std::optional<std::int64_t> most) {
  if (!fs::exists(status_of(place))) user_error(fmt::format("--images '{}' does not exist", place.string()));
  if (fs::is_directory(place) && find_layout(place).format == "mnist") {
    Images digits = load_dataset("mnist", place).test;
    split_off(digits, std::min(most.value_or(digits.n), digits.n));
    return framed(digits, size, 3);
  }
  const ImageSet set = find_images(place);
  if (!set.left_out.empty()) fmt::print("left out: {}\n", escaped(set.left_out));
  const std::int64_t all = set.source->size(), first = set.n_train < all ? set.n_train : 0;
  return read_images(*set.source, first, std::min(most.value_or(all), all - first), set.fitted({size, 3}));
}

/// What is found, image by image.
struct Inversions {
  Tensor w_plus, images;               ///< [N, latents], [N, H, W, 3], on the CPU
  std::vector<Tensor> shown;           ///< x, G(z0) and G(z) of the first ones
  std::vector<ObjectiveWeights> loss;  ///< the terms at every step, summed over images
  double start = 0.0, end = 0.0;       ///< squared error per pixel value, summed over images
  std::int64_t replaced = 0, returned = 0;
};

void add_terms(std::vector<ObjectiveWeights>& loss, std::int64_t step, const ObjectiveTerms& terms) {
  if (loss.size() <= static_cast<std::size_t>(step)) loss.push_back({0.0, 0.0, 0.0, 0.0});
  ObjectiveWeights& sums = loss[static_cast<std::size_t>(step)];
  const auto total = [](const Variable& term) { return term.defined() ? sum(term).value().item() : 0.0; };
  sums.pixel += total(terms.pixel);
  sums.feature += total(terms.feature);
  sums.domain += total(terms.domain);
  sums.energy += total(terms.energy);
}

/// Sum over images of each one's mean squared error.
double error_of(const Tensor& made, const Tensor& x) {
  return sum_squares(sub(made, x)).item() * static_cast<double>(x.size(0)) / static_cast<double>(x.numel());
}

/// Where the W+ of images begin.
Tensor start(const std::string& from, const Networks& nets, const Tensor& x, Generator& random) {
  if (from == "damc") return nets.sampler->sample(x, {}, random);
  if (from == "encoder") return nets.frozen.encoder->forward(x).value();
  return nets.G.random_latents(x.size(0), random);
}

/// Batch by batch, until a signal asks to stop.
Inversions invert_all(const InvertOptions& o, const Networks& nets, const Images& images, Device device) {
  ObjectiveWeights weights = o.in_domain ? kInDomainWeights : ObjectiveWeights{};
  if (!nets.frozen.vgg) weights.feature = 0.0;
  if (nets.energy) weights.energy = energy_factor(nets.G.size(), o.sigma);
  const InversionObjective objective(nets.G, nets.frozen.vgg.get(), nets.frozen.encoder.get(), weights,
                                     nets.energy.get());
  Generator random(static_cast<std::uint64_t>(o.seed), 0, device);
  Inversions found;
  std::vector<Tensor> latents, made;
  StatusLine status(0, images.n, "image");
  for (std::int64_t first = 0; first < images.n && !(first > 0 && stop_signal()); first += o.batch) {
    const Tensor x = to_tensor(images, first, std::min(o.batch, images.n - first), device);
    const Tensor z0 = start(o.from, nets, x, random);
    const Descent descent =
        descend(objective, z0, x, o.descent, random,
                [&](std::int64_t step, const ObjectiveTerms& terms) { add_terms(found.loss, step, terms); });
    const Tensor before = nets.G.forward(z0).value(), after = nets.G.forward(descent.w_plus).value();
    found.start += error_of(before, x);
    found.end += error_of(after, x);
    found.replaced += descent.replaced;
    found.returned += descent.returned;
    latents.push_back(descent.w_plus.to(Device{}));
    made.push_back(after.to(Device{}));
    if (const std::int64_t shown = std::min(kShown - first, x.size(0)); shown > 0) {
      for (const Tensor* of : {&x, &before, &after})
        found.shown.push_back(of->narrow(0, 0, shown).to(Device{}).clone());
    }
    status.update(first + x.size(0), "", false);
  }
  found.w_plus = cat(latents, 0);
  found.images = cat(made, 0);
  return found;
}

/// The same; where the device's memory does not suffice, the error names a batch that fits.
Inversions invert_or_explain(const InvertOptions& o, const Networks& nets, const Images& images,
                             Device device) {
  try {
    return invert_all(o, nets, images, device);
  } catch (const OutOfMemory& error) {
    const std::int64_t asked = std::min(o.batch, images.n);
    const std::int64_t fits = fitting_share(asked, [&](std::int64_t batch) {
      InvertOptions few = o;
      few.batch = batch;
      few.descent.steps = std::min<std::int64_t>(o.descent.steps, 2);
      std::vector<std::int64_t> numbers(static_cast<std::size_t>(batch));
      std::iota(numbers.begin(), numbers.end(), 0);
      invert_all(few, nets, subset(images, numbers), device);
    });
    throw Error(with_fitting_batch(error, fits, asked));
  }
}

/// Rows of images, G(z0) and G(z) under each other; gaps are black.
void write_picture(const fs::path& file, const std::vector<Tensor>& shown) {
  std::vector<Tensor> of[3];
  for (std::size_t i = 0; i < shown.size(); ++i) of[i % 3].push_back(shown[i]);
  const std::int64_t n = cat(of[0], 0).size(0), columns = std::min(n, kColumns);
  std::vector<Tensor> rows;
  for (std::int64_t first = 0; first < n; first += columns) {
    for (const std::vector<Tensor>& parts : of) {
      const std::int64_t here = std::min(columns, n - first);
      rows.push_back(cat(parts, 0).narrow(0, first, here));
      Shape gap = rows.back().shape();
      gap[0] = columns - here;
      if (here < columns) rows.push_back(Tensor::full(gap, -1.0));
    }
  }
  write_grid(file, cat(rows, 0), columns);
}

/// A line for every step: the terms' means over the images.
void write_losses(const fs::path& file, const std::vector<ObjectiveWeights>& loss, std::int64_t images) {
  std::string lines;
  for (std::size_t step = 0; step < loss.size(); ++step) {
    const auto n = static_cast<double>(images);
    nlohmann::ordered_json line{{"step", step}, {"pixel", loss[step].pixel / n}};
    if (loss[step].feature != 0.0) line["feature"] = loss[step].feature / n;
    if (loss[step].domain != 0.0) line["domain"] = loss[step].domain / n;
    if (loss[step].energy != 0.0) line["energy"] = loss[step].energy / n;
    lines += line.dump() + "\n";
  }
  atomic_write_file(file, std::as_bytes(std::span(lines)));
}

/// The distance of what was made from the very images that needs no network.
void print_pixel_distance(const Tensor& made, const Images& images) {
  const PixelComponents components(images);
  StatisticsStream stream(false);
  stream.add(components(made));
  fmt::print("pca-fd    {:.4f}  {}/{} pixels, not Inception\n",
             frechet_distance(components.reference(), stream.finish()).value, images.n, images.n);
}

/// FID and KID of what was made against the very images; few images, so the covariances are singular, and the form is the
/// one that is exact for them.
void print_distances(const FeatureSpace& space, const Tensor& made, const Images& images) {
  const Statistics real = feature_statistics(space, images, images.n);
  std::vector<Tensor> features;
  for (std::int64_t first = 0; first < images.n; first += 8) {
    const Tensor some = made.narrow(0, first, std::min<std::int64_t>(8, images.n - first));
    features.push_back(space.features(some).to(Device{}));
  }
  const Statistics ours = statistics(cat(features, 0));
  fmt::print("fid       {:.4f}  {}/{} {}\n", frechet_distance(ours, real).value, ours.n, real.n, space.mode);
  fmt::print("kid       {:.6f}  {}/{} {}\n", kernel_distance(ours.features, real.features).value, ours.n,
             real.n, space.mode);
}

void invert(InvertOptions o) {
  if (o.from.empty()) o.from = !o.sampler.empty() ? "damc" : !o.encoder.empty() ? "encoder" : "noise";
  check(o);
  const Device device = parse_device(o.device);
  const Networks nets(o, device);
  std::optional<FeatureSpace> space;
  if (!o.inception.empty()) {
    DistanceOptions distances;
    distances.inception = o.inception;
    space = inception_space(distances, device);
  }
  Images images = read_test_images(o.images, nets.G.size(), o.count);
  if (images.n < 2 && (space || o.pca_fd)) {
    user_error(fmt::format("{} needs two images or more", space ? "fid" : "pca-fd"),
               fmt::format("leave out --{}", space ? "inception" : "pca-fd"));
  }
  const OutputFolder folder = make_output_folder(o.out);
  const fs::path& out = folder.path();
  for (const char* file : {"w.npy", "losses.jsonl", "inversions.png"}) check_output_file("--out", out / file);
  if (o.npy) check_output_file("--out", out / "images.npy");
  catch_stop_signals();
  const auto begun = std::chrono::steady_clock::now();
  const Inversions found = invert_or_explain(o, nets, images, device);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
  if (const std::int64_t done = found.w_plus.size(0); done < images.n) {
    fmt::print("stopped after {} of {} images\n", done, images.n);
    split_off(images, done);
  }
  const auto n = static_cast<double>(images.n);
  fmt::print("mse start {:.6f}  over {} images (per pixel value in [-1, 1]), from {}\n", found.start / n,
             images.n, o.from);
  fmt::print("mse       {:.6f}  after {} steps, {:.2f} s an image\n", found.end / n, o.descent.steps,
             seconds.count() / n);
  if (found.replaced + found.returned > 0)
    fmt::print("not a number: {} began anew, {} went back\n", found.replaced, found.returned);
  write_npy(out / "w.npy", found.w_plus.reshape({images.n, nets.G.sizes().layers(), nets.G.sizes().latent}));
  if (o.npy) write_npy(out / "images.npy", found.images);
  write_losses(out / "losses.jsonl", found.loss, images.n);
  write_picture(out / "inversions.png", found.shown);
  if (o.pca_fd && images.n > 1) print_pixel_distance(found.images, images);
  if (space && images.n > 1) print_distances(*space, found.images, images);
  fmt::print("{}: rows are images, G(z0), G(z); w.npy has the W+, losses.jsonl every step\n",
             escaped((out / "inversions.png").native()));
  if (stop_signal()) throw Exit{128 + stop_signal()};
}

}  // namespace

void add_invert_command(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("invert", "Find the latent vectors of images under a pretrained StyleGAN");
  auto o = std::make_shared<InvertOptions>();
  const auto file = [&](const char* option, std::string& value, const char* help) {
    return command->add_option(option, value, help)->type_name("FILE");
  };
  file("--generator", o->generator, "weights of StyleGAN: styleganinv_ffhq256_generator.pth, or of any size")
      ->required();
  file("--encoder", o->encoder, "weights of its in-domain encoder, styleganinv_ffhq256_encoder.pth");
  file("--sampler", o->sampler,
       "checkpoint of DAMC for GAN inversion: Q.p.* and Q.encoder.net.*, or Q_state_dict, or with --encoder "
       "the model-N.safetensors of a run");
  file("--energy", o->energy,
       "checkpoint with E.ebm.*: E(w) + |w|^2/2 is in the objective (the LEBM baseline)");
  file("--vgg", o->vgg, "weights of VGG-16, vgg16.pth; without them pixels alone are compared");
  file("--inception", o->inception, "weights of Inception-v3: fid and kid against the very images");
  command
      ->add_option("--images", o->images,
                   "an image file, or a folder of them; of FFHQ, LSUN and MNIST the test images")
      ->type_name("PATH")
      ->required();
  command->add_option("--out", o->out, "folder for w.npy, losses.jsonl and inversions.png, made if need be")
      ->type_name("DIR")
      ->required();
  command
      ->add_option("--from", o->from,
                   "where W+ begins: a sample of the sampler, the encoder's W+, or a random one (default: "
                   "the first of which there are weights)")
      ->check(one_of({"damc", "encoder", "noise"}));
  const auto number = [&](const char* option, auto& value, std::int64_t least, const char* help) {
    return command->add_option(option, value, help)->type_name("N")->check(whole_number(least, 1'000'000));
  };
  number("--steps", o->descent.steps, 0, "steps of Adam")->capture_default_str();
  number("--count", o->count, 1, "at most this many images, the first ones (default: all)");
  number("--batch", o->batch, 1, "images at a time")->capture_default_str();
  number("--seed", o->seed, 0, "of random W+")->capture_default_str();
  command->add_option("--rate", o->descent.rate, "learning rate of Adam")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--sigma", o->sigma, "standard deviation of p(x given z), which weighs the energy")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--in-domain", o->in_domain,
                    "the objective of in-domain inversion, with the encoder in it");
  command->add_flag("--pca-fd", o->pca_fd,
                    "Frechet distance along the principal components of the images' pixels, against these");
  command->add_flag("--npy", o->npy, "also the images made, f32 [N,H,W,C] in [-1, 1], in images.npy");
  command->add_option("--device", o->device, "cpu, cuda or cuda:N")->capture_default_str();
  command
      ->add_option("--precision", o->precision,
                   "arithmetic of the convolutions: f32, or a GPU's tensor cores in tf32")
      ->check(one_of({"fp32", "tf32"}))
      ->capture_default_str();
  command->callback([o] { invert(*o); });
}

}  // namespace damc
