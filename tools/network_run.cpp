#include "tools/network_run.h"

#include <algorithm>
#include <bit>

#include "damc/batched.h"
#include "damc/inversion/autoencoder.h"
#include "damc/inversion/training.h"
#include "damc/run_folder.h"
#include "damc/run_records.h"
#include "data/feed.h"
#include "tensor/error.h"
#include "tensor/record.h"
#include "tensor/text.h"
#include "tools/classifier_run.h"
#include "tools/fitting_batch.h"
#include "tools/stop_signal.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

/// Makes the images those of a network for size x size in colour.
void frame(Split& split, std::int64_t size) {
  split.train = framed(split.train, size, 3);
  split.test = framed(split.test, size, 3);
}

/// What the preset trains, and the images as that takes them.
std::unique_ptr<Training> make_training(const Config& c, Split& split) {
  const Device device = parse_device(c.device);
  switch (find_preset(c.preset).trains) {
    case Trains::classifier:
      return classifier_training(c, split);
    case Trains::autoencoder: {
      const auto size =
          static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(split.train.height)));
      frame(split, size);
      return std::make_unique<AutoencoderTraining>(c, size, device);
    }
    case Trains::inversion: {
      auto training =
          std::make_unique<InversionTraining>(c,
                                              read_inversion_networks({c.generator, c.encoder, c.vgg}, device,
                                                                      true, products_of(c.precision, device)),
                                              device);
      frame(split, training->image_size());
      return training;
    }
    case Trains::model:
      break;
  }
  throw Error(fmt::format("preset {} trains a model", c.preset));
}

}  // namespace

NetworkRun::NetworkRun(RunStart start)
    : config_(start.config),
      device_(parse_device(config_.device)),
      split_(std::move(start.split)),
      notes_(std::move(start.notes)),
      training_(make_training(config_, split_)),
      journal_(std::move(start.folder), std::move(start.lock), config_, progress_) {
  if (start.is_initial)
    user_error(fmt::format("--init with preset {}: it always begins anew", config_.preset), "leave it out");
  note_emulation(config_);
  if (start.state) go_on_from(*start.state);
  progress_.data = start.data;
  progress_.networks = training_->depends_on();
  if (config_.eval_samples > 0 && config_.eval_samples < split_.test.n)
    split_off(split_.test, config_.eval_samples);
}

void NetworkRun::go_on_from(const SavedState& state) {
  progress_ = state.progress;
  if (progress_.networks != training_->depends_on()) {
    user_error(
        fmt::format("{} learned with {}; the files hold {}", escaped(state.file.native()), progress_.networks,
                    training_->depends_on()),
        "name the files of the run with --generator, --encoder and --vgg; a new run learns with others");
  }
  try {
    training_->load_state_dict(state.tensors);
  } catch (const UserError& error) {
    throw of_weights(state.file, error);
  }
}

void NetworkRun::run(const fs::path& parent) {
  catch_stop_signals();
  journal_.open(parent);
  journal_.say(fmt::format("{}: {} of {} iterations done, {}, {} parameters",
                           escaped(journal_.folder().native()), progress_.iterations, config_.iterations,
                           progress_.data, training_->parameter_count()));
  for (const std::string& note : notes_) journal_.say(note);
  try {
    train();
  } catch (const OutOfMemory& error) {
    const std::string message = explain(error);
    journal_.log_end(fmt::format("ended by an error after iteration {}: {}", progress_.iterations, message));
    throw Error(message);
  } catch (const std::exception& error) {
    journal_.log_end(
        fmt::format("ended by an error after iteration {}: {}", progress_.iterations, error.what()));
    throw;
  }
  journal_.say(fmt::format("done: {}", escaped(journal_.folder().native())));
}

/// The message when memory does not suffice, with a batch that would: tried in the first and the last iterations, which
/// may be of another phase, those that are recorded among them.
std::string NetworkRun::explain(const OutOfMemory& error) {
  const std::int64_t asked = config_.batch;
  journal_.say(fmt::format("batch {}: {}; trying smaller ones", asked, error.what()));
  const Images& images = split_.train;
  const std::int64_t fits = fitting_share(asked, [&](std::int64_t batch) {
    training_.reset();
    Config smaller = config_;
    smaller.batch = batch;
    training_ = make_training(smaller, split_);
    const std::vector<std::int64_t> numbers(static_cast<std::size_t>(batch), 0);
    const Tensor x = to_tensor(subset(images, numbers), 0, batch, device_);
    const Tensor next = x.clone();  // the next minibatch is there before an iteration ends
    for (const std::int64_t k : {std::int64_t{0}, config_.iterations - 1})
      for (int i = 0; i < kCallsUntilRecorded; ++i) training_->iterate(k, x, numbers);
    backend(device_).synchronize();
  });
  return with_fitting_batch(error, fits, asked);
}

void NetworkRun::train() {
  const Images& images = split_.train;
  Batches batches(images, config_.batch, static_cast<std::uint64_t>(config_.seed), config_.flip);
  Feed feed(batches, {config_.batch, images.height, images.width, images.channels}, device_);
  journal_.start_status();
  while (progress_.iterations < config_.iterations) {
    const std::int64_t k = progress_.iterations;
    const Stats stats = training_->iterate(k, feed.take(k), batches.indices(k));
    ++progress_.iterations;
    progress_.images_seen += config_.batch;
    if (journal_.due(config_.log_every)) training_->check();
    try {
      finish_iteration(stats);
    } catch (const std::exception& error) {
      save_in_spite_of(error, [&] { save(); });
      throw;
    }
    const int signal = stop_signal();
    if (signal || journal_.due(config_.state_every)) save();
    if (signal) journal_.stop(signal);
  }
  journal_.end_status();
}

/// All that is shown and written of an iteration, but its state.
void NetworkRun::finish_iteration(const Stats& stats) {
  const bool logged = journal_.due(config_.log_every);
  const char* loss = training_->loss();
  journal_.status().update(progress_.iterations, logged ? fmt::format("loss {:.4g}", stats[loss]) : "",
                           logged);
  if (logged) {
    append_stats(journal_.folder(), progress_, stats, journal_.status().seconds_per_iteration(),
                 backend(device_).bytes_reserved());
  }
  if (config_.eval_every > 0 && journal_.due(config_.eval_every)) evaluate();
}

void NetworkRun::evaluate() {
  const std::int64_t n = split_.test.n;
  const std::string name = training_->metric();
  const double value = training_->evaluate(split_.test);
  journal_.say(
      fmt::format("iteration {}: {} {:.4f} over {} test images", progress_.iterations, name, value, n));
  append_metric(journal_.folder(), {name, value, n, progress_.iterations, "", config_.seed});
}

void NetworkRun::save() {
  training_->check();
  const StateDict weights = training_->weights();
  save_weights(journal_.folder(), weights, config_, progress_);
  StateDict state = training_->state_dict();
  state.insert(weights.begin(), weights.end());
  save_state(journal_.folder(), state, config_, progress_);
  training_->write_files(journal_.folder());
}

}  // namespace damc
