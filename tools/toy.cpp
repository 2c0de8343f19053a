/// `damc toy`: the pinwheel example. The sampler learns the posteriors of a known likelihood, and pictures
/// and numbers say how near it has come to long Langevin chains.

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "damc/run_folder.h"
#include "damc/toy/toy.h"
#include "damc/toy/two_sample.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
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

constexpr std::int64_t kSamples = 5000;  // of either kind in a comparison

struct ToyCommandOptions {
  std::vector<std::uint64_t> seeds = {1, 2, 3, 4};
  std::int64_t iterations = 1000, every = 100;
  bool posterior = false;
  double width = ToyOptions{}.width;
  std::string device = "cpu", out;

  ToyOptions of_seed(std::uint64_t seed) const {
    return {.seed = seed, .width = width, .device = parse_device(device)};
  }
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The output folder. Nothing in it is overwritten: one that holds a run is refused.
OutputFolder make_toy_folder(const std::string& folder) {
  if (fs::exists(status_of(fs::path(folder) / "stats.jsonl"))) {
    user_error(fmt::format("'{}' already holds a toy run", folder), "give another folder with --out");
  }
  return make_output_folder(folder);
}

/// Compares the sampler as it learns with long chains, which are run once, and keeps the record of it: samples for as
/// many new observations, one for each, as the paper's Figure S2 has it; or all of them for one observation.
class Comparison {
 public:
  Comparison(Toy& toy, const ToyOptions& options, bool posterior, fs::path out)
      : toy_(toy), seed_(options.seed), posterior_(posterior), out_(std::move(out)) {
    const Tensor x = observations(), again = observations();
    chains_ = toy_.long_run(x);
    chain_error_ = toy_.reconstruction_error(chains_, x);
    noise_floor_ = energy_distance(chains_, toy_.long_run(again));
    exact_ = toy_.exact(observations());
    exact_distance_ = energy_distance(chains_, exact_);
    const Tensor density = kernel_density(chains_, view());
    const std::vector<double> values = density.to_vector<double>();
    full_ = *std::max_element(values.begin(), values.end());
    targets_ = {colour(density, full_), colour(kernel_density(exact_, view()), full_)};
  }

  /// What there is to know about the long chains.
  std::string summary() const {
    std::string of = fmt::format("{} observations", kSamples);
    if (posterior_) {
      const std::vector<double> x = toy_.observation().to_vector<double>();
      of = fmt::format("observation x = ({:.3f}, {:.3f})", x[0], x[1]);
    }
    return fmt::format(
        "seed {}, {}; long chains: E|x - g(z)|^2 = {:.4f}, energy distance to the exact posteriors {:.4f}, "
        "of two sets "
        "of {} {:.4f}, the floor",
        seed_, of, chain_error_, exact_distance_, kSamples, noise_floor_);
  }

  /// Measures and draws the sampler after `iteration` iterations that took `seconds`; shows a table row before anything
  /// is written.
  void record(std::int64_t iteration, double seconds, StatusLine& status) {
    const Tensor x = observations(), samples = toy_.sample(x);
    const double distance = energy_distance(samples, chains_), from_exact = energy_distance(samples, exact_),
                 error = toy_.reconstruction_error(samples, x);
    status.print(fmt::format("{:9}  {:9.4f}  {:8.4f}  {:7.4f}  {:7.1f}", iteration, distance, from_exact,
                             error, seconds));
    const nlohmann::ordered_json line = {{"seed", seed_},
                                         {"iteration", iteration},
                                         {"energy_distance", distance},
                                         {"noise_floor", noise_floor_},
                                         {"distance_to_exact", from_exact},
                                         {"long_run_to_exact", exact_distance_},
                                         {"error_sampler", error},
                                         {"error_long_run", chain_error_},
                                         {"seconds", seconds}};
    append_line(out_ / "stats.jsonl", line.dump());
    evolution_.push_back(colour(kernel_density(samples, view()), full_));
    const std::vector<Tensor> pictures = row();
    write_grid(out_ / fmt::format("evolution-{}.png", seed_), cat(pictures, 0),
               static_cast<std::int64_t>(pictures.size()));
  }

  /// The pictures so far: the sampler's, the long chains', and the exact posteriors'.
  std::vector<Tensor> row() const {
    std::vector<Tensor> pictures = evolution_;
    pictures.insert(pictures.end(), targets_.begin(), targets_.end());
    return pictures;
  }

 private:
  Tensor observations() {
    return posterior_ ? toy_.observation().expand({kSamples, 2}).contiguous()
                      : toy_.new_observations(kSamples);
  }
  /// One posterior is narrower than all together.
  DensityView view() const { return {.bandwidth = posterior_ ? 0.06 : DensityView{}.bandwidth}; }

  Toy& toy_;
  std::uint64_t seed_;
  bool posterior_;
  fs::path out_;
  Tensor chains_, exact_;
  double noise_floor_ = 0.0, chain_error_ = 0.0, exact_distance_ = 0.0;
  double full_ = 0.0;  // the density that is drawn brightest
  std::vector<Tensor> targets_, evolution_;
};

/// Learns, compares every so often, and gives the row of pictures.
std::vector<Tensor> run_seed(const ToyCommandOptions& options, std::uint64_t seed, const fs::path& out) {
  const ToyOptions world = options.of_seed(seed);
  Toy toy(world);
  StatusLine status(0, options.iterations);
  Comparison comparison(toy, world, options.posterior, out);
  status.print(comparison.summary());
  status.print("iteration  to chains  to exact    error  seconds");
  double seconds = 0.0;
  for (std::int64_t k = 0;; ++k) {
    if (k % options.every == 0 || k == options.iterations) comparison.record(k, seconds, status);
    if (k == options.iterations) return comparison.row();
    const Clock::time_point start = Clock::now();
    const double loss = toy.iterate();
    seconds += seconds_since(start);
    status.update(k + 1, fmt::format("loss {:.4f}", loss), false);
  }
}

void run_toy(const ToyCommandOptions& options) {
  // First, so that a device that is not there is an error before a folder is made.
  Toy(options.of_seed(options.seeds[0]));
  const OutputFolder folder = make_toy_folder(options.out);
  const fs::path &out = folder.path(), picture = out / "evolution.png";
  for (const fs::path& file : {out / "stats.jsonl", picture}) check_output_file("--out", file);
  std::vector<Tensor> rows;
  for (const std::uint64_t seed : options.seeds) {
    const std::vector<Tensor> row = run_seed(options, seed, out);
    rows.insert(rows.end(), row.begin(), row.end());
    write_grid(picture, cat(rows, 0), static_cast<std::int64_t>(row.size()));
  }
  fmt::print("sampler over time, long chains, exact posteriors, a row for each seed: {}\n",
             escaped(picture.native()));
}

}  // namespace

void add_toy_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "toy", "Learn posteriors of a pinwheel and compare them with long Langevin chains");
  auto options = std::make_shared<ToyCommandOptions>();
  command
      ->add_option("--seed", options->seeds,
                   "each decides a likelihood, the observations and all noise; several with commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("S")
      ->check(whole_number(0, kMostSeed))
      ->capture_default_str();
  command->add_option("--iterations", options->iterations, "of learning, 500 observations each")
      ->type_name("N")
      ->check(whole_number(0, 1'000'000'000))
      ->capture_default_str();
  command->add_flag(
      "--posterior", options->posterior,
      "compare samples of one observation's posterior, a harder test, instead of those of 5,000 "
      "observations, one for each (Figure S2)");
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
      ->add_option("--out", options->out,
                   "folder for evolution.png (a row for each seed: the sampler over time, long chains, exact "
                   "posteriors), evolution-SEED.png and stats.jsonl; made if need be")
      ->type_name("DIR")
      ->required();
  command->callback([options] { run_toy(*options); });
}

}  // namespace damc
