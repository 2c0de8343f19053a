/// `damc toy`: the pinwheel example. The sampler learns the posteriors of a known likelihood, and pictures
/// and numbers say how near it has come to long Langevin chains.

#include <algorithm>
#include <chrono>

#include "damc/run_folder.h"
#include "damc/toy/toy.h"
#include "damc/toy/two_sample.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/shared_options.h"
#include "tools/status_line.h"

namespace damc {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kSamples = 5000;     // of either kind in a comparison
constexpr std::int64_t kStripColumns = 13;  // pictures in a row of the evolution

struct ToyCommandOptions {
  std::uint64_t seed = ToyOptions{}.seed;
  std::int64_t iterations = 1000, every = 100;
  double width = ToyOptions{}.width;
  std::string device = "cpu", out;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The output folder. Nothing in it is overwritten: one that holds a run is refused.
fs::path make_toy_folder(const std::string& folder) {
  if (fs::exists(fs::path(folder) / "stats.jsonl")) {
    user_error(fmt::format("'{}' already holds a toy run", folder), "give another folder with --out");
  }
  return make_output_folder(folder);
}

/// Compares the sampler as it learns with long chains, which are run once, and keeps the record of it.
class Comparison {
 public:
  Comparison(Toy& toy, fs::path out) : toy_(toy), out_(std::move(out)), chains_(toy.long_run(kSamples)) {
    noise_floor_ = energy_distance(chains_, toy.long_run(kSamples));
    chain_error_ = toy.reconstruction_error(chains_);
    const Tensor density = kernel_density(chains_);
    const std::vector<double> values = density.to_vector<double>();
    full_ = *std::max_element(values.begin(), values.end());
    targets_ = {colour(density, full_), colour(toy.exact_density(), full_)};
  }

  /// What there is to know about the long chains.
  std::string summary() const {
    const std::vector<double> x = toy_.observation().to_vector<double>();
    return fmt::format(
        "observation x = ({:.3f}, {:.3f})\n"
        "long chains: E|x - g(z)|^2 = {:.4f}; two sets of {} are at energy distance {:.4f}, the floor",
        x[0], x[1], chain_error_, kSamples, noise_floor_);
  }

  /// Measures and draws the sampler after `iteration` iterations that took `seconds`; shows a table row before anything
  /// is written.
  void record(std::int64_t iteration, double seconds, StatusLine& status) {
    const Tensor samples = toy_.sample(kSamples);
    const double distance = energy_distance(samples, chains_), error = toy_.reconstruction_error(samples);
    status.print(fmt::format("{:9}  {:8.4f} ({:.4f})  {:7.4f} ({:.4f})  {:7.1f}", iteration, distance,
                             noise_floor_, error, chain_error_, seconds));
    append_line(out_ / "stats.jsonl",
                fmt::format(R"({{"iteration": {}, "energy_distance": {:.6g}, "noise_floor": {:.6g}, )"
                            R"("error_sampler": {:.6g}, "error_long_run": {:.6g}, "seconds": {:.1f}}})",
                            iteration, distance, noise_floor_, error, chain_error_, seconds));
    evolution_.push_back(colour(kernel_density(samples), full_));
    write_grid(out_ / fmt::format("density-{:06}.png", iteration),
               cat(std::vector<Tensor>{evolution_.back(), targets_[0], targets_[1]}, 0), 3);
    std::vector<Tensor> strip = evolution_;
    strip.insert(strip.end(), targets_.begin(), targets_.end());
    write_grid(out_ / "evolution.png", cat(strip, 0),
               std::min(kStripColumns, static_cast<std::int64_t>(strip.size())));
  }

 private:
  Toy& toy_;
  fs::path out_;
  Tensor chains_;
  double noise_floor_, chain_error_;
  double full_;                  // the density that is drawn darkest
  std::vector<Tensor> targets_;  // pictures of the long chains and of the exact posterior
  std::vector<Tensor> evolution_;
};

void run_toy(const ToyCommandOptions& options) {
  // First, so that a device that is not there is an error before a folder is made.
  Toy toy({.seed = options.seed, .width = options.width, .device = parse_device(options.device)});
  const fs::path out = make_toy_folder(options.out);
  for (const char* file : {"stats.jsonl", "evolution.png"}) check_output_file("--out", out / file);
  StatusLine status(0, options.iterations);
  Comparison comparison(toy, out);
  status.print(comparison.summary());
  status.print("iteration  distance (floor)   error (long chains)  seconds");
  double seconds = 0.0;
  for (std::int64_t k = 0;; ++k) {
    if (k % options.every == 0 || k == options.iterations) comparison.record(k, seconds, status);
    if (k == options.iterations) break;
    const Clock::time_point start = Clock::now();
    const double loss = toy.iterate();
    seconds += seconds_since(start);
    status.update(k + 1, fmt::format("loss {:.4f}", loss), false);
  }
  status.print(fmt::format("sampler over time, long chains, exact posterior: {}",
                           escaped((out / "evolution.png").native())));
}

}  // namespace

void add_toy_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "toy", "Learn posteriors of a pinwheel and compare them with long Langevin chains");
  auto options = std::make_shared<ToyCommandOptions>();
  command->add_option("--seed", options->seed, "decides the likelihood, the observation and all noise")
      ->type_name("S")
      ->check(whole_number(0, kMostSeed))
      ->capture_default_str();
  command->add_option("--iterations", options->iterations, "of learning, 500 observations each")
      ->type_name("N")
      ->check(whole_number(0, 1'000'000'000))
      ->capture_default_str();
  command->add_option("--width", options->width, "factor on the denoiser's widths (Table S6's f)")
      ->capture_default_str()
      ->check(CLI::Range(0.05, 4.0));
  command->add_option("--every", options->every, "iterations between comparisons")
      ->type_name("N")
      ->check(whole_number(1, 1'000'000'000))
      ->capture_default_str();
  command->add_option("--device", options->device, "cpu, cuda or cuda:N")
      ->type_name("D")
      ->capture_default_str();
  command
      ->add_option(
          "--out", options->out,
          "folder for density-ITERATION.png (sampler, long chains, exact posterior), evolution.png and "
          "stats.jsonl; made if need be")
      ->type_name("DIR")
      ->required();
  command->callback([options] { run_toy(*options); });
}

}  // namespace damc
