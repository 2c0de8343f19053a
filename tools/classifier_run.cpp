#include "tools/classifier_run.h"

#include <vector>

#include "damc/run_folder.h"
#include "damc/run_records.h"
#include "data/feed.h"
#include "tensor/error.h"
#include "tensor/text.h"
#include "tools/stop_signal.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "C.";  // of the weights' names in files

std::unique_ptr<Classifier> fresh(const Config& config, Device device) {
  Generator random = make_generator(config, Stream::init, device);
  Init init(random, Dtype::f32, products_of(config.precision));
  return std::make_unique<Classifier>(init);
}

/// Classes of the images in minibatch k.
Tensor targets(const Images& images, Batches& batches, std::int64_t k, Device device) {
  std::vector<std::int32_t> labels;
  for (const std::int64_t i : batches.indices(k))
    labels.push_back(images.labels[static_cast<std::size_t>(i)]);
  return one_hot(labels, Classifier::kClasses).to(device);
}

}  // namespace

ClassifierRun::ClassifierRun(RunStart start)
    : config_(start.config),
      device_(parse_device(config_.device)),
      split_(std::move(start.split)),
      notes_(std::move(start.notes)),
      classifier_(fresh(config_, device_)),
      training_(*classifier_, config_, device_),
      journal_(std::move(start.folder), std::move(start.lock), config_, progress_) {
  if (start.is_initial) user_error("--init with a classifier: it always begins anew", "leave it out");
  if (split_.train.labels.empty() || split_.test.labels.empty()) {
    user_error(fmt::format("the images of '{}' have no labels to learn from", escaped(config_.data)));
  }
  note_emulation(config_);
  if (start.state) {
    progress_ = start.state->progress;
    try {
      classifier_->load_state_dict(start.state->tensors, kPrefix);
      training_.load_state_dict(start.state->tensors);
    } catch (const UserError& error) {
      throw of_weights(start.state->file, error);
    }
  }
  progress_.data = start.data;
}

void ClassifierRun::run(const fs::path& parent) {
  catch_stop_signals();
  journal_.open(parent);
  journal_.say(fmt::format("{}: {} of {} iterations done, {}, {} parameters", journal_.folder().string(),
                           progress_.iterations, config_.iterations, progress_.data,
                           classifier_->parameter_count()));
  for (const std::string& note : notes_) journal_.say(note);
  try {
    train();
  } catch (const std::exception& error) {
    journal_.log_end(
        fmt::format("ended by an error after iteration {}: {}", progress_.iterations, error.what()));
    throw;
  }
  journal_.say(fmt::format("done: {}", journal_.folder().string()));
}

void ClassifierRun::train() {
  const Images& images = split_.train;
  Batches batches(images, config_.batch, static_cast<std::uint64_t>(config_.seed), config_.flip);
  Feed feed(batches, {config_.batch, images.height, images.width, images.channels}, device_);
  journal_.start_status();
  while (progress_.iterations < config_.iterations) {
    const std::int64_t k = progress_.iterations;
    const Stats stats = training_.iterate(k, feed.take(k), targets(images, batches, k, device_));
    ++progress_.iterations;
    progress_.images_seen += config_.batch;
    finish_iteration(stats);
    const int signal = stop_signal();
    if (signal || journal_.due(config_.state_every)) save();
    if (signal) journal_.stop(signal);
  }
  journal_.end_status();
}

/// All that is shown and written of an iteration, but its state.
void ClassifierRun::finish_iteration(const Stats& stats) {
  const bool logged = journal_.due(config_.log_every);
  if (logged) training_.check();
  journal_.status().update(progress_.iterations, logged ? fmt::format("loss {:.4g}", stats["loss_c"]) : "",
                           logged);
  if (logged) {
    append_stats(journal_.folder(), progress_, stats, journal_.status().seconds_per_iteration(),
                 backend(device_).bytes_reserved());
  }
  if (config_.eval_every == 0 || !journal_.due(config_.eval_every)) return;
  const std::int64_t n = split_.test.n;
  const double share = accuracy(*classifier_, split_.test, device_);
  journal_.say(
      fmt::format("iteration {}: accuracy {:.4f} over {} test images", progress_.iterations, share, n));
  append_metric(journal_.folder(), {"accuracy", share, n, progress_.iterations, "", config_.seed});
}

void ClassifierRun::save() {
  training_.check();
  const StateDict weights = classifier_->state_dict(kPrefix);
  save_weights(journal_.folder(), weights, config_, progress_);
  StateDict state = training_.state_dict();
  state.insert(weights.begin(), weights.end());
  save_state(journal_.folder(), state, config_, progress_);
}

std::unique_ptr<Classifier> load_classifier(const fs::path& folder, Device device) {
  const Run run = open_run(folder);
  if (run.config.preset != kClassifierPreset) {
    user_error(fmt::format("'{}' is a run of preset {}, not of a classifier", escaped(folder.native()),
                           run.config.preset),
               fmt::format("damc train --preset {} makes one in about a minute", kClassifierPreset));
  }
  auto classifier = fresh(run.config, device);
  try {
    classifier->load_state_dict(read_checkpoint(run.weights).tensors, kPrefix);
  } catch (const UserError& error) {
    throw of_weights(run.weights, error);
  }
  return classifier;
}

}  // namespace damc
