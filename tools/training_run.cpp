#include "tools/training_run.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "damc/metrics.h"
#include "tensor/ops.h"
#include "tensor/record.h"
#include "tools/commands.h"
#include "tools/shared_options.h"
#include "tools/status_line.h"
#include "tools/training_memory.h"

namespace damc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

volatile std::sig_atomic_t stop_signal = 0;

void on_signal(int signal) { stop_signal = signal; }

/// Asks the loop to stop at SIGINT and SIGTERM; a second one kills at once. System calls go on, above all those that
/// write a state.
void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void write_text(const fs::path& file, const std::string& text) {
  atomic_write_file(file, std::as_bytes(std::span(text.data(), text.size())));
}

/// Drops the lines of stats.jsonl and metrics.jsonl that lie after iteration `done`: they will be written
/// again.
void rewind_lines(const fs::path& file, std::int64_t done) {
  std::ifstream in(file);
  if (!in) return;
  std::string kept;
  for (std::string line; std::getline(in, line);) {
    const json object = json::parse(line, nullptr, false);
    if (object.is_object() && object.value("iteration", std::int64_t{0}) <= done) kept += line + "\n";
  }
  write_text(file, kept);
}

double megabytes(std::size_t bytes) { return static_cast<double>(bytes) / 1048576.0; }

Shape batch_shape(const Model& model, std::int64_t batch) {
  return {batch, model.images.size, model.images.size, model.images.channels};
}

Images first(const Images& images, std::int64_t n) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(std::min(n, images.n)));
  std::iota(numbers.begin(), numbers.end(), 0);
  return subset(images, numbers);
}

/// Pictures of fixed x and fixed noise, so that those of a run can be compared.
class Pictures {
 public:
  /// Keeps a reference to the model.
  Pictures(const Model& model, const Images& test)
      : x_(to_tensor(test, 0, std::min(kColumns, test.n), model.device)),
        noise_(make_generator(model.config, Stream::sampling, model.device)),
        draw_("pictures", {"x"}, model.device, [&model, this](const Tensors& in) {
          const auto decode = [&](const Tensor& z) { return model.G.forward(z).value(); };
          const Tensor z0 = model.Q.sample(in[0], noise_), z = model.refine(z0, in[0]);
          return Tensors{decode(z), decode(z0), decode(model.Q.sample_prior(kColumns * kColumns, noise_)),
                         decode(model.sample_lebm(kColumns * kColumns, noise_))};
        }) {}

  /// Reconstructions, those of the sampler alone, samples of the sampler, of the energy prior.
  Tensors draw() {
    noise_.set_position(0);
    return draw_({x_});
  }

  void write(const fs::path& folder, std::int64_t done) {
    const Tensors drawn = draw();
    const auto file = [&](const char* what) { return folder / fmt::format("{}-{:06}.png", what, done); };
    write_grid(file("reconstructions"), cat(Tensors{x_, drawn[0], drawn[1]}, 0), x_.size(0));
    write_grid(file("samples-damc"), drawn[2], kColumns);
    write_grid(file("samples-lebm"), drawn[3], kColumns);
  }

 private:
  static constexpr std::int64_t kColumns = 10;

  Tensor x_;
  Generator noise_;
  Captured draw_;
};

}  // namespace

TrainingRun TrainingRun::start(const Config& config, const fs::path& parent) {
  Config c = config;
  Split split = load_data(c);
  c.data = fs::absolute(c.data).string();
  const std::string settings = to_toml(c);  // refuses what it cannot keep before a folder is made
  backend(parse_device(c.device));  // a device that is not there is an error before a folder is made
  const fs::path folder = make_run_folder(parent, c.preset);
  auto lock = std::make_unique<FolderLock>(folder);
  fs::create_directory(folder / "grids");
  write_text(folder / "config.toml", settings);
  return TrainingRun(c, folder, std::move(lock), std::move(split), 0);
}

TrainingRun TrainingRun::resume(const fs::path& folder, const KeyValues& changes) {
  if (!fs::is_regular_file(folder / "config.toml")) {
    user_error(fmt::format("{} is not a run folder: it has no config.toml", folder.string()),
               "give a folder that 'damc train' made");
  }
  auto lock = std::make_unique<FolderLock>(folder);
  const Config config = read_config(folder / "config.toml", changes);
  const std::int64_t done = std::max<std::int64_t>(0, newest_state(folder));
  if (config.iterations < done) {
    user_error(fmt::format("{} has {} iterations behind it, {} were asked for", folder.string(), done,
                           config.iterations));
  }
  TrainingRun run(config, folder, std::move(lock), load_data(config), done);
  if (done > 0) load_state(folder, done, *run.model_, *run.trainer_);
  for (const fs::path& place : {folder, folder / "grids"}) remove_unfinished_files(place);
  write_text(folder / "config.toml", to_toml(config));
  rewind_lines(folder / "stats.jsonl", done);
  rewind_lines(folder / "metrics.jsonl", done);
  return run;
}

TrainingRun::TrainingRun(const Config& config, fs::path folder, std::unique_ptr<FolderLock> lock, Split split,
                         std::int64_t done)
    : folder_(std::move(folder)),
      lock_(std::move(lock)),
      split_(std::make_unique<Split>(std::move(split))),
      model_(std::make_unique<Model>(config)),
      trainer_(std::make_unique<Trainer>(*model_)),
      batches_(std::make_unique<Batches>(split_->train, config.batch, static_cast<std::uint64_t>(config.seed),
                                         config.flip)),
      done_(done) {
  note_emulation(config);
  const Images& train = split_->train;
  const Architecture& images = model_->images;
  if (train.height != images.size || train.width != images.size || train.channels != images.channels) {
    user_error(fmt::format("{} holds images of {}x{}x{}, preset {} needs {}x{}x{}", config.data, train.height,
                           train.width, train.channels, config.preset, images.size, images.size,
                           images.channels));
  }
}

void TrainingRun::run() {
  const Config& c = model_->config;
  catch_signals();
  say(fmt::format("{}: {} of {} iterations done, {} training and {} test images, {} parameters",
                  folder_.string(), done_, c.iterations, split_->train.n, split_->test.n,
                  model_->G.parameter_count() + model_->E.parameter_count() + model_->Q.parameter_count()));
  try {
    train();
  } catch (const OutOfMemory& error) {
    say(fmt::format("batch {}: {}; trying smaller ones", c.batch, error.what()));
    const std::int64_t batch = fitting_batch(error);
    throw Error(fmt::format("{}; {}", error.what(),
                            batch > 0 ? fmt::format("a batch of {} instead of {} fits", batch, c.batch)
                                      : fmt::format("it has no room for a batch of any size")));
  }
}

void TrainingRun::train() {
  const Config& c = model_->config;
  Feed feed(*batches_, batch_shape(*model_, c.batch), model_->device);
  Pictures pictures(*model_, split_->test);
  const auto every = [&](std::int64_t interval) {
    return done_ == c.iterations || (interval > 0 && done_ % interval == 0);
  };
  StatusLine status(done_, c.iterations);
  while (done_ < c.iterations) {
    const IterationStats stats = trainer_->iterate(done_, feed.take(done_));
    ++done_;
    if (done_ < c.iterations) feed.load(done_);  // beside the work that is queued
    const bool logged = every(c.log_every);
    if (logged) check();
    status.update(
        done_,
        logged ? fmt::format("loss G {:.4g} Q {:.4g}  E+ {:.3g} E- {:.3g}  {:.0f} MiB", stats.loss_g.item(),
                             stats.loss_q.item(), stats.energy_plus.item(), stats.energy_minus.item(),
                             megabytes(backend(model_->device).bytes_reserved()))
               : std::string(),
        logged);
    try {
      if (logged) log(done_, stats, status.seconds_per_iteration());
      if (every(c.grid_every)) pictures.write(folder_ / "grids", done_);
      if (c.eval_every > 0 && every(c.eval_every)) evaluate(done_);
    } catch (const Error& error) {  // of a disk or of memory: the iterations stand
      save_in_spite_of(error);
      throw;
    }
    // The state last: a run that goes on from it has everything of the iterations before.
    const int signal = stop_signal;  // read once: it may come at any time
    if (signal || every(c.state_every)) save(done_);
    if (signal) {
      status.print(
          fmt::format("stopped by a signal after iteration {}; continue with: damc train --resume {}", done_,
                      folder_.string()));
      throw Exit{128 + signal};
    }
  }
  status.print(fmt::format("done: {}", folder_.string()));
}

/// Saves a state before an error ends the run. Throws Error with both messages when that fails as well.
void TrainingRun::save_in_spite_of(const Error& error) {
  try {
    save(done_);
  } catch (const Error& second) {
    throw Error(fmt::format("{}; nor could a state be saved: {}", error.what(), second.what()));
  }
}

/// A batch that fits where the configuration's does not; 0: none does. Trains no further: the memory goes to those
/// that are tried.
std::int64_t TrainingRun::fitting_batch(const OutOfMemory& error) {
  trainer_.reset();
  std::int64_t batch = largest_batch(model_->config, error.bytes.free + error.bytes.in_use);
  while (batch > 0 && !fits(batch)) {
    if (stop_signal) throw Exit{128 + stop_signal};
    batch = batch * 15 / 16;  // the libraries need memory, too
  }
  return batch;
}

/// Whether iterations of this batch end well, up to those that are recorded, and what is done beside them.
bool TrainingRun::fits(std::int64_t batch) {
  try {
    Trainer trainer(*model_);
    const Tensor both = Tensor::zeros(batch_shape(*model_, 2 * batch), Dtype::f32, model_->device);
    const Tensor x = both.narrow(0, 0, batch);  // beside the next minibatch
    for (int k = 0; k < kCallsUntilRecorded; ++k) trainer.iterate(k, x);
    Pictures(*model_, split_->test).draw();
    if (model_->config.eval_every > 0)
      infer_all(*model_, first(split_->test, evaluation_batch(model_->images)));
    backend(model_->device).synchronize();
    return true;
  } catch (const Error&) {  // a library's own error as well: it is no batch to name
    return false;
  }
}

/// Whether all numbers so far were finite; the message of a failure says what the run can be continued from.
void TrainingRun::check() {
  try {
    trainer_->check();
  } catch (const Error& error) {
    const std::int64_t saved = newest_state(folder_);
    throw Error(fmt::format("{}\nhint: {}; smaller learning rates or step sizes may help", error.what(),
                            saved < 0 ? std::string("no state was saved yet")
                                      : fmt::format("the state of iteration {} is kept", saved)));
  }
}

void TrainingRun::say(const std::string& line) {
  fmt::print("{}\n", line);
  append_line(folder_ / "log.txt", line);
}

void TrainingRun::log(std::int64_t done, const IterationStats& stats, double seconds) {
  const double plus = stats.energy_plus.item(), minus = stats.energy_minus.item();
  const json object = {{"iteration", done},
                       {"loss_q", stats.loss_q.item()},
                       {"loss_g", stats.loss_g.item()},
                       {"energy_plus", plus},
                       {"energy_minus", minus},
                       {"energy_gap", plus - minus},
                       {"grad_norm_q", stats.grad_norm_q.item()},
                       {"grad_norm_g", stats.grad_norm_g.item()},
                       {"grad_norm_e", stats.grad_norm_e.item()},
                       {"z_norm", stats.z_norm.item()},
                       {"chain_displacement", stats.displacement.item()},
                       {"lr_q", stats.lr_q},
                       {"lr_g", stats.lr_g},
                       {"lr_e", stats.lr_e},
                       {"seconds_per_iteration", seconds},
                       {"memory_mib", megabytes(backend(model_->device).bytes_reserved())}};
  append_line(folder_ / "stats.jsonl", object.dump());
  append_line(folder_ / "log.txt",
              fmt::format("iteration {}  loss G {:.5g} Q {:.5g}  E+ {:.4g} E- {:.4g}  {:.3g} s/it", done,
                          stats.loss_g.item(), stats.loss_q.item(), plus, minus, seconds));
}

void TrainingRun::save(std::int64_t done) {
  check();
  save_model(folder_, *model_, done);
  save_state(folder_, *model_, *trainer_, done);
}

void TrainingRun::evaluate(std::int64_t done) {
  const Inference inference = infer_all(*model_, split_->test);
  json object = {
      {"iteration", done}, {"metric", "mse"}, {"value", mse(inference)}, {"images", split_->test.n}};
  append_line(folder_ / "metrics.jsonl", object.dump());
  if (split_->test_is_anomaly.empty()) return;
  object["metric"] = "auprc";
  object["value"] = auprc(anomaly_scores(inference), split_->test_is_anomaly);
  append_line(folder_ / "metrics.jsonl", object.dump());
}

}  // namespace damc
