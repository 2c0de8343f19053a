/// `damc chain`: long Langevin chains on the energy prior, Eq. (3) with U(z) = E(z) + |z|^2/2, from N(0, I).
///
/// The picture has a row of images per chain, taken at even distances along it, and below them E(z) over the
/// steps of every chain: each image stands above its step. By default it lies in the run.

#include <algorithm>
#include <array>
#include <cmath>

#include "damc/chains/langevin.h"
#include "damc/chains/stability.h"
#include "data/image_io.h"
#include "tensor/error.h"
#include "tensor/io/npy.h"
#include "tensor/ops.h"
#include "tensor/record.h"
#include "tensor/text.h"
#include "tools/canvas.h"
#include "tools/chain_diagnosis.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/screen.h"
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

constexpr Colour kGrey = {200, 200, 200}, kText = {60, 60, 60};
constexpr Colour kCurves[] = {{31, 119, 180},  {255, 127, 14}, {44, 160, 44},   {214, 39, 40},
                              {148, 103, 189}, {140, 86, 75},  {227, 119, 194}, {23, 190, 207}};

/// Round numbers between two, about `count` of them: multiples of 1, 2 or 5 times a power of ten.
std::vector<double> round_numbers(double low, double high, int count) {
  const double rough = std::max((high - low) / count, 1e-12),
               power = std::pow(10.0, std::floor(std::log10(rough)));
  const double step = power * (rough <= 2.0 * power ? 2.0 : rough <= 5.0 * power ? 5.0 : 10.0);
  std::vector<double> numbers;
  for (double k = std::ceil(low / step); k * step <= high; k += 1.0) numbers.push_back(k * step);
  return numbers;
}

/// The images above their energies: E over steps, one curve per chain, with a grey upright below every frame.
class ChainPicture {
 public:
  ChainPicture(const Trace& trace, const Images& rows)
      : trace_(trace),
        rows_(rows),
        steps_(trace.energies.size(0) - 1),
        chains_(trace.energies.size(1)),
        values_(trace.energies.to_vector<double>()),
        scale_(std::max<std::int64_t>(rows.width / 600, 1)) {
    const auto [low, high] = std::minmax_element(values_.begin(), values_.end());
    const double margin =
        0.02 * std::max({*high - *low, 1e-6 * std::abs(*high), 1e-6});  // of equal ones, too
    low_ = *low - margin;
    high_ = *high + margin;
    ticks_ = round_numbers(low_, high_, 5);
    std::int64_t widest = Canvas::text_width("E(z)", scale_);
    for (const double tick : ticks_) widest = std::max(widest, Canvas::text_width(label(tick), scale_));
    left_ = widest + 6 * scale_;
    top_ = rows.height + 4 * scale_;
    bottom_ = top_ + std::max<std::int64_t>(rows.width / 4, 80);
  }

  Images draw() const {
    const std::int64_t line = Canvas::text_height(scale_);
    Canvas canvas(bottom_ + line + 10 * scale_, left_ + rows_.width);
    canvas.image(left_, 0, rows_);
    canvas.text(scale_, rows_.height - line - 4 * scale_, "E(z)", kText, scale_);
    canvas.text(scale_, bottom_ + 4 * scale_, "step", kText, scale_);
    draw_axes(canvas);
    for (std::int64_t chain = 0; chain < chains_; ++chain) {
      const Colour& colour = kCurves[static_cast<std::size_t>(chain) % std::size(kCurves)];
      for (std::int64_t step = 0; step < steps_; ++step)
        canvas.line(x_of(step), y_at(step, chain), x_of(step + 1), y_at(step + 1, chain), colour);
    }
    return canvas.picture();
  }

 private:
  static std::string label(double number) { return fmt::format("{:.4g}", number + 0.0); }

  void draw_axes(Canvas& canvas) const {
    for (const double tick : ticks_) {
      const std::string text = label(tick);
      canvas.line(x_of(0), y_of(tick), x_of(steps_), y_of(tick), kGrey);
      canvas.text(left_ - Canvas::text_width(text, scale_) - 2 * scale_,
                  std::lround(y_of(tick)) - Canvas::text_height(scale_) / 2, text, kText, scale_);
    }
    std::int64_t free = left_;  // from here on no number stands yet
    for (const std::int64_t step : trace_.frame_steps) {
      canvas.line(x_of(step), static_cast<double>(top_), x_of(step), static_cast<double>(bottom_), kGrey);
      const std::string text = std::to_string(step);
      const std::int64_t width = Canvas::text_width(text, scale_);
      const std::int64_t x = std::min(std::lround(x_of(step)) - width / 2, left_ + rows_.width - width);
      if (x < free) continue;
      canvas.text(x, bottom_ + 4 * scale_, text, kText, scale_);
      free = x + width + 6 * scale_;
    }
  }

  /// Below the middle of the frame at that step.
  double x_of(std::int64_t step) const {
    const auto frames = static_cast<std::int64_t>(trace_.frame_steps.size());
    const std::int64_t width = trace_.images.size(2);
    const double first = static_cast<double>(left_ + kGap) + 0.5 * static_cast<double>(width);
    return first + static_cast<double>((frames - 1) * (width + kGap)) * static_cast<double>(step) /
                       static_cast<double>(std::max<std::int64_t>(steps_, 1));
  }
  double y_of(double energy) const {
    return static_cast<double>(bottom_) -
           static_cast<double>(bottom_ - top_) * (energy - low_) / (high_ - low_);
  }
  double y_at(std::int64_t step, std::int64_t chain) const {
    return y_of(values_[static_cast<std::size_t>(step * chains_ + chain)]);
  }

  const Trace& trace_;
  const Images& rows_;
  std::int64_t steps_, chains_;
  std::vector<double> values_, ticks_;
  std::int64_t scale_, left_ = 0, top_ = 0, bottom_ = 0;
  double low_ = 0.0, high_ = 0.0;
};

void write_picture(const fs::path& file, const Trace& trace) {
  const Tensor& images = trace.images;
  const Images rows = grid(images.to_vector<float>(), images.size(0), images.size(1), images.size(2),
                           images.size(3), static_cast<std::int64_t>(trace.frame_steps.size()), kGap);
  const Images picture = ChainPicture(trace, rows).draw();
  write_png(file, picture.pixels.bytes(), picture.height, picture.width, picture.channels);
}

void chain(const ChainCommandOptions& options) {
  const LoadedRun loaded = options.run.load();
  if (!loaded.model->E && loaded.model->ratios.empty()) {
    user_error(fmt::format("chain: a run of method {} has no energy prior", loaded.model->config.method),
               "its prior is N(0, I), which needs no chains");
  }
  const OutputFolder folder =
      make_output_folder(options.out.empty() ? (loaded.run.folder / "chains").string() : options.out);
  const fs::path& out = folder.path();
  for (const std::int64_t steps : options.steps) {
    if (std::ranges::count(options.steps, steps) > 1)
      user_error(fmt::format("--steps: chain-{} would be written twice", steps), "leave out one of the two");
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
    flush_output();  // the files after the numbers, which a full disk must not cost
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
          "made if need be (default: chains/ in the run, where 'damc report' finds them)")
      ->type_name("DIR");
  command->footer(kDiagnosis);
  command->callback([options] { chain(*options); });
}

}  // namespace damc
