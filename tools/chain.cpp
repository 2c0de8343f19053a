/// `damc chain`: long Langevin chains on the energy prior, Eq. (3) with U(z) = E(z) + |z|^2/2, from N(0, I).
///
/// The picture has a row of images per chain, taken at even distances along it, and below them E(z) over the
/// steps of every chain: each image stands above its step.

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "damc/chains/langevin.h"
#include "damc/chains/stability.h"
#include "data/image_io.h"
#include "tensor/error.h"
#include "tensor/io/npy.h"
#include "tensor/ops.h"
#include "tensor/record.h"
#include "tensor/text.h"
#include "tools/chain_diagnosis.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/shared_options.h"
#include "tools/status_line.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostSteps = 100'000'000;
constexpr std::int64_t kGap = 2;  // pixels between images

constexpr const char* kDiagnosis =
    "Of each length it says how E(z) mixes: autocorrelation time (Sokal's window); rank-normalised split "
    "R-hat, with an "
    "alarm above 1.1; drift, the mean of the second half less that of the first, in standard errors over the "
    "chains; and "
    "how stable the steps are: s^2/2 (1 + largest curvature of E), with an alarm above 2.";

struct ChainCommandOptions {
  explicit ChainCommandOptions(CLI::App& command) : run(command) {}

  RunOptions run;
  std::vector<std::int64_t> steps = {200, 2500};
  std::int64_t chains = 8, frames = 16;
  std::string out;
};

/// K chains of T steps.
struct Trace {
  std::vector<std::int64_t> frame_steps;  ///< F of them, 0 and T included
  Tensor images;                          ///< [K * F, H, W, C], a chain after the other
  Tensor energies;                        ///< E(z), [T + 1, K]
  double stability;                       ///< stability number where the chains end
};

/// Up to `frames` step numbers at even distances from 0 to `steps`.
std::vector<std::int64_t> even_steps(std::int64_t steps, std::int64_t frames) {
  const std::int64_t n = std::min(frames, steps + 1);
  std::vector<std::int64_t> chosen;
  for (std::int64_t j = 0; j < n; ++j) chosen.push_back(n == 1 ? 0 : (j * steps + (n - 1) / 2) / (n - 1));
  return chosen;
}

/// The energies [T + 1, K] on the host. Throws Error when one is not finite.
Tensor read_energies(const Tensor& energies) {
  const std::vector<double> values = energies.to_vector<double>();
  const auto bad = std::find_if(values.begin(), values.end(), [](double e) { return !std::isfinite(e); });
  ENSURE(bad == values.end(), "the chains diverge: E(z) is not finite after {} steps",
         (bad - values.begin()) / energies.size(1));
  return energies.to(Device{});
}

/// Nothing is read back between the frames, so that a device may fall behind the host.
Trace run_chains(const Model& model, std::int64_t steps, std::int64_t chains, std::int64_t frames) {
  Generator random = make_generator(model.config, Stream::sampling, model.device);
  Trace trace{even_steps(steps, frames), {}, {}, 0.0};
  const PinnedWeights pinned(model.prior->weights());
  CapturedStep<1, 2> next("chain step", {"z"}, model.device, [&](const auto& in) -> std::array<Tensor, 2> {
    const Tensor z = langevin(*model.prior, in[0], {1, model.config.prior_step_size}, &random);
    return {z, model.prior->energies(z).value()};
  });
  const Tensor energies = Tensor::empty({steps + 1, chains}, Dtype::f32, model.device);
  std::vector<Tensor> images;
  StatusLine status(0, steps, "step");
  Tensor z = random.normal({chains, model.config.nz}), energy = model.prior->energies(z).value();
  for (std::int64_t step = 0;; ++step) {
    energies.narrow(0, step, 1).copy_from(energy.reshape({1, chains}));
    if (std::binary_search(trace.frame_steps.begin(), trace.frame_steps.end(), step)) {
      images.push_back(model.decode(z).to(Device{}));
    }
    if (step == steps) break;
    const auto [next_z, next_energy] = next({z});
    z = next_z;
    energy = next_energy;
    status.update(step + 1, "", false);
  }
  trace.energies = read_energies(energies);
  trace.stability = stability(largest_curvature(*model.prior, z, random), model.config.prior_step_size);
  const std::int64_t size = model.images.size, channels = model.images.channels;
  const auto n = static_cast<std::int64_t>(images.size());
  trace.images = cat(images, 0)
                     .reshape({n, chains, size, size, channels})
                     .permute({1, 0, 2, 3, 4})
                     .reshape({chains * n, size, size, channels});
  return trace;
}

ChainDiagnosis diagnose(const Trace& trace, double step_size) {
  ChainDiagnosis found{trace.energies.size(0) - 1, trace.energies.size(1), step_size, trace.stability, {}};
  if (found.steps >= 3) found.mixing = mixing(trace.energies);
  return found;
}

using Colour = std::array<std::uint8_t, 3>;

constexpr Colour kWhite = {255, 255, 255}, kGrey = {200, 200, 200};
constexpr Colour kCurves[] = {{31, 119, 180},  {255, 127, 14}, {44, 160, 44},   {214, 39, 40},
                              {148, 103, 189}, {140, 86, 75},  {227, 119, 194}, {23, 190, 207}};

/// A drawing of H,W,3 bytes; what falls outside is left out.
class Canvas {
 public:
  Canvas(std::int64_t height, std::int64_t width) : height_(height), width_(width) {
    for (std::int64_t i = 0; i < height * width; ++i)
      pixels_.insert(pixels_.end(), kWhite.begin(), kWhite.end());
  }

  void line(double x0, double y0, double x1, double y1, const Colour& colour) {
    const double length = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1.0});
    for (double t = 0.0; t <= length; t += 1.0) {
      dot(std::lround(x0 + (x1 - x0) * t / length), std::lround(y0 + (y1 - y0) * t / length), colour);
    }
  }
  std::span<const std::uint8_t> pixels() const { return pixels_; }

 private:
  void dot(std::int64_t x, std::int64_t y, const Colour& colour) {
    if (x < 0 || x >= width_ || y < 0 || y >= height_) return;
    std::copy(colour.begin(), colour.end(), pixels_.begin() + (y * width_ + x) * 3);
  }

  std::int64_t height_, width_;
  std::vector<std::uint8_t> pixels_;
};

/// E over steps, one curve per chain; step 0 stands at pixel `left`, the last step at `right`, with a grey
/// upright at every frame. The lowest and highest energies touch the lower and upper margin.
Canvas plot_energies(const Trace& trace, std::int64_t height, std::int64_t width, double left, double right) {
  const std::int64_t steps = trace.energies.size(0) - 1, chains = trace.energies.size(1);
  const std::vector<double> values = trace.energies.to_vector<double>();
  const auto extremes = std::minmax_element(values.begin(), values.end());
  const double low = *extremes.first, high = *extremes.second;
  const double margin = 4.0, top = margin, bottom = static_cast<double>(height) - 1.0 - margin;
  const double range = std::max(high - low, 1e-12);
  const auto x_of = [&](std::int64_t step) {
    return left +
           (right - left) * static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(steps, 1));
  };
  const auto y_of = [&](std::int64_t step, std::int64_t chain) {
    return bottom - (bottom - top) * (values[static_cast<std::size_t>(step * chains + chain)] - low) / range;
  };

  Canvas canvas(height, width);
  for (const double y : {top, bottom}) canvas.line(left, y, right, y, kGrey);
  for (const std::int64_t step : trace.frame_steps) canvas.line(x_of(step), top, x_of(step), bottom, kGrey);
  for (std::int64_t chain = 0; chain < chains; ++chain) {
    const Colour& colour = kCurves[static_cast<std::size_t>(chain) % std::size(kCurves)];
    for (std::int64_t step = 0; step < steps; ++step) {
      canvas.line(x_of(step), y_of(step, chain), x_of(step + 1), y_of(step + 1, chain), colour);
    }
  }
  return canvas;
}

/// The images above the curves.
void write_picture(const fs::path& file, const Trace& trace) {
  const Tensor& images = trace.images;
  const std::int64_t width = images.size(2), channels = images.size(3);
  const auto frames = static_cast<std::int64_t>(trace.frame_steps.size());
  const Images rows =
      grid(images.to_vector<float>(), images.size(0), images.size(1), width, channels, frames, kGap);
  const double left = static_cast<double>(kGap) + 0.5 * static_cast<double>(width);
  const double right = left + static_cast<double>((frames - 1) * (width + kGap));
  const std::int64_t height = std::max<std::int64_t>(rows.width / 4, 64);
  const Canvas plot = plot_energies(trace, height, rows.width, left, right);

  std::vector<std::uint8_t> pixels;
  for (std::size_t i = 0; i < rows.pixels.size(); ++i) {
    pixels.insert(pixels.end(), channels == 1 ? 3 : 1, rows.pixels[i]);  // grey becomes red, green and blue
  }
  pixels.insert(pixels.end(), plot.pixels().begin(), plot.pixels().end());
  write_png(file, pixels, rows.height + height, rows.width, 3);
}

void chain(const ChainCommandOptions& options) {
  const LoadedRun loaded = options.run.load();
  if (!loaded.model->E) {
    user_error(fmt::format("chain: a run of method {} has no energy prior", loaded.model->config.method),
               "its prior is N(0, I), which needs no chains");
  }
  const fs::path out = make_output_folder(options.out);
  for (const std::int64_t steps : options.steps) {
    for (const char* name : {"chain-{}.png", "energy-{}.npy", "diagnosis-{}.json"})
      check_output_file("--out", out / fmt::format(fmt::runtime(name), steps));
  }
  for (const std::int64_t steps : options.steps) {
    const Trace trace = run_chains(*loaded.model, steps, options.chains, options.frames);
    const auto mean_energy = [&](std::int64_t step) {
      return sum(trace.energies.narrow(0, step, 1)).item() / static_cast<double>(options.chains);
    };
    const std::vector<double> values = trace.energies.to_vector<double>();
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const fs::path picture = out / fmt::format("chain-{}.png", steps);
    fmt::print(
        "{}: {} chains of {} steps of size {}; mean E(z) {:.4g} at the start, {:.4g} at the end; all of them "
        "in {:.4g} .. {:.4g}\n",
        escaped(picture.native()), options.chains, steps, loaded.model->config.prior_step_size,
        mean_energy(0), mean_energy(steps), *low, *high);
    const ChainDiagnosis found = diagnose(trace, loaded.model->config.prior_step_size);
    fmt::print("{}", table(found));
    std::fflush(stdout);  // the files after the numbers, which a full disk must not cost
    write_picture(picture, trace);
    write_npy(out / fmt::format("energy-{}.npy", steps), trace.energies);
    write_json(out / fmt::format("diagnosis-{}.json", steps), found);
  }
}

}  // namespace

void add_chain_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("chain", "Follow long Langevin chains on the energy prior");
  auto options = std::make_shared<ChainCommandOptions>(*command);
  command->add_option("--steps", options->steps, "lengths of the chains, with commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("N")
      ->check(whole_number(0, kMostSteps))
      ->capture_default_str();
  command->add_option("--chains", options->chains, "chains, one row of images each")
      ->type_name("N")
      ->check(whole_number(1, 32))
      ->capture_default_str();
  command->add_option("--frames", options->frames, "images along each chain")
      ->type_name("N")
      ->check(whole_number(1, 32))
      ->capture_default_str();
  command
      ->add_option(
          "--out", options->out,
          "folder for chain-STEPS.png, energy-STEPS.npy ([steps + 1, chains]) and diagnosis-STEPS.json, "
          "made if need be")
      ->type_name("DIR")
      ->required();
  command->footer(kDiagnosis);
  command->callback([options] { chain(*options); });
}

}  // namespace damc
