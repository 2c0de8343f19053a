#include "tools/training_run.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>

#include "damc/diagnosis.h"
#include "damc/metrics/digest.h"
#include "damc/run_folder.h"
#include "damc/run_records.h"
#include "tensor/ops.h"
#include "tensor/text.h"
#include "tools/commands.h"
#include "tools/fitting_batch.h"
#include "tools/pictures.h"
#include "tools/shell_word.h"
#include "tools/stop_signal.h"

namespace damc {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double megabytes(std::size_t bytes) { return static_cast<double>(bytes) / 1048576.0; }

/// "loss G 1.2 Q 3.4  E+ 5.6 E- 7.8", what the method has of it, with so many digits of losses and energies.
std::string losses(const Stats& stats, int loss_digits, int energy_digits) {
  std::string text = "loss";
  if (stats.contains("loss_g")) text += fmt::format(" G {:.{}g}", stats["loss_g"], loss_digits);
  if (stats.contains("loss_d")) text += fmt::format(" D {:.{}g}", stats["loss_d"], loss_digits);
  if (stats.contains("loss_q")) text += fmt::format(" Q {:.{}g}", stats["loss_q"], loss_digits);
  if (!stats.contains("energy_plus")) return text;
  return text + fmt::format("  E+ {:.{}g} E- {:.{}g}", stats["energy_plus"], energy_digits,
                            stats["energy_minus"], energy_digits);
}

/// A message without its hint.
std::string head(const std::string& message) { return message.substr(0, message.rfind("\nhint: ")); }

}  // namespace

TrainingRun::TrainingRun(RunStart start, const Communicator& among)
    : among_(among),
      split_(std::make_unique<Split>(std::move(start.split))),
      model_(std::make_unique<Model>(start.config)),
      batches_(std::make_unique<Batches>(split_->train, start.config.batch,
                                         static_cast<std::uint64_t>(start.config.seed), start.config.flip,
                                         among.part())),
      notes_(std::move(start.notes)),
      journal_(std::move(start.folder), std::move(start.lock), model_->config, progress_, among) {
  if (among.leads()) note_emulation(start.config);
  if (start.state) progress_ = start.state->progress;
  progress_.data = start.data;
  method_ = make_method(progress_.rollbacks);
  if (start.is_initial) {
    begin_with(*start.state);
  } else if (start.state) {
    load_state(*start.state, *model_, *method_);
  }
  if (start.config.eval_every == 0 || !among.leads()) return;
  metrics_ = training_metrics(start.config);
  const DistanceOptions options = training_options(start.config);
  evaluated_ = first_test_images(*split_, options.samples);
  evaluation_.emplace(*model_, *evaluated_, metrics_, options, false);
}

std::unique_ptr<Method> TrainingRun::make_method(std::int64_t rollbacks) const {
  return std::make_unique<Method>(*model_, rollbacks, split_->train.n, among_);
}

/// Weights of elsewhere: what of the file is of no use is told.
void TrainingRun::begin_with(const SavedState& initial) {
  starts_elsewhere_ = true;
  const std::vector<std::string> unused = load_initial(initial, *model_, *method_);
  std::string note = fmt::format("weights of {}", escaped(initial.file.native()));
  if (progress_.iterations > 0)
    note += fmt::format(", with its optimisers after {} iterations", progress_.iterations);
  if (!unused.empty()) {
    const std::span shown(unused.data(), std::min<std::size_t>(unused.size(), 4));
    note += fmt::format("; not used: {} ({}{})", unused.size(), fmt::join(shown, ", "),
                        shown.size() < unused.size() ? ", ..." : "");
  }
  notes_.push_back(note);
}

void TrainingRun::run(const fs::path& parent) {
  catch_stop_signals(among_.leads());
  check_weights();
  if (journal_.open(parent) && starts_elsewhere_)
    save();  // what to go back to, or on from, before there is another
  try {
    journal_.say(standing());
    for (const std::string& note : notes_) journal_.say(note);
    for (bool ended = false; !ended;) {
      try {
        train();
        ended = true;
      } catch (const Divergence& error) {
        go_back(error);
      }
    }
    journal_.say(fmt::format("done: {}", escaped(journal_.folder().native())));
  } catch (const OutOfMemory& error) {
    const std::string message = explain(error);
    journal_.log_end(fmt::format("ended by an error after iteration {}: {}", progress_.iterations, message));
    throw Error(message);
  } catch (const std::exception& error) {
    journal_.log_end(
        fmt::format("ended by an error after iteration {}: {}", progress_.iterations, head(error.what())));
    throw;
  }
}

/// What a run begins with.
std::string TrainingRun::standing() const {
  const Config& c = model_->config;
  const std::int64_t processes = among_.part().count;
  return fmt::format(
      "{}: {} of {} iterations done, {}, {} parameters{}", escaped(journal_.folder().native()),
      progress_.iterations, c.iterations, progress_.data, model_->parameter_count(),
      processes == 1 ? "" : fmt::format(", {} processes of {} images each", processes, c.batch / processes));
}

/// Of what a process learns from.
Shape TrainingRun::batch_shape() const {
  const Architecture& images = model_->images;
  return {model_->config.batch / among_.part().count, images.size, images.size, images.channels};
}

void TrainingRun::train() {
  const Config& c = model_->config;
  std::int64_t& done = progress_.iterations;
  Feed feed(*batches_, batch_shape(), model_->device);
  Pictures pictures(*model_, split_->test);
  journal_.start_status();
  if (done == 0 && c.grid_every > 0 && among_.leads()) {
    pictures.write(journal_.folder() / "grids", 0);
    Pictures::write_reals(journal_.folder() / "grids", feed.take(0));
  }
  while (done < c.iterations) {
    const Tensor x = feed.take(done);
    Stats stats = method_->iterate(done, {x, batches_->rows(done)});
    ++done;
    if (done == c.iterations) method_->finish(split_->train);
    progress_.images_seen += c.batch;
    if (done < c.iterations) load_next(feed);
    if (is_logged()) method_->check();
    if (among_.leads()) finish_iteration(x, stats, pictures);
    // The state last: a run that goes on from it has everything of the iterations before.
    const auto signal = static_cast<int>(among_.max(stop_signal()));  // once: it may come at any time
    if (signal || journal_.due(c.state_every)) save();
    if (signal) journal_.stop(signal);
  }
  journal_.end_status();
}

/// Beside the work that is queued.
void TrainingRun::load_next(Feed& feed) {
  try {
    feed.load(progress_.iterations);
  } catch (const std::exception& error) {
    save_before(error);
    throw;
  }
}

bool TrainingRun::is_diagnosed() const {
  const std::int64_t every = model_->config.diagnose_every;
  return every > 0 && progress_.iterations % every == 0;
}

bool TrainingRun::is_logged() const { return is_diagnosed() || journal_.due(model_->config.log_every); }

/// All that is shown and written of an iteration, but its state.
void TrainingRun::finish_iteration(const Tensor& x, Stats& stats, Pictures& pictures) {
  const Config& c = model_->config;
  const bool logged = is_logged();
  journal_.status().update(progress_.iterations,
                           logged ? fmt::format("{}  {:.0f} MiB", losses(stats, 4, 3),
                                                megabytes(backend(model_->device).bytes_reserved()))
                                  : std::string(),
                           logged);
  try {
    if (is_diagnosed()) diagnose(x, stats);
    if (logged) log(stats, journal_.status().seconds_per_iteration());
    if (journal_.due(c.grid_every)) pictures.write(journal_.folder() / "grids", progress_.iterations);
    if (c.eval_every > 0 && journal_.due(c.eval_every)) evaluate();
  } catch (const Stopped&) {
    journal_.say(
        fmt::format("iteration {}: the evaluation is left out; damc eval makes it", progress_.iterations));
  } catch (const std::exception& error) {
    save_before(error);
    throw;
  }
}

/// Adds how the chains do to an iteration's numbers, and says what is newly wrong with them, or no longer.
void TrainingRun::diagnose(const Tensor& x, Stats& stats) {
  const Stats found = damc::diagnose(*model_, x);
  for (const auto& [name, value] : found.read()) stats.add(name, value);
  for (const std::string& line : alarms_.news(model_->config, found)) journal_.say(line);
}

/// After a divergence: back to the last good state with other noise and half the learning rates, as on_nan says. Throws
/// Error with a way to go on when the run ends here.
void TrainingRun::go_back(const Divergence& error) {
  const Config& c = model_->config;
  journal_.end_status();
  if (c.on_nan == OnNan::stop || progress_.rollbacks >= c.on_nan_retries) {
    const std::string before =
        progress_.rollbacks > 0 ? fmt::format(" after rollback {}", progress_.rollbacks) : "";
    if (!among_.leads()) throw Exit{1};
    throw Error(fmt::format("{}{}\n{}", error.what(), before, advice()));
  }
  const std::int64_t rollbacks = progress_.rollbacks + 1;
  const std::int64_t saved = rollback_state(journal_.folder(), c.state_every);
  journal_.say(
      fmt::format("diverged: {}; rollback {} of {} to iteration {}: other noise, half the learning rates",
                  error.what(), rollbacks, c.on_nan_retries, std::max<std::int64_t>(saved, 0)));
  method_.reset();  // with the memory of its steps
  if (saved < 0) {
    model_->load_state_dict(Model(c).state_dict());
    method_ = make_method(rollbacks);
    progress_ = {.iterations = 0, .images_seen = 0, .rollbacks = 0, .data = progress_.data};
  } else {
    const SavedState state = read_state(journal_.folder(), saved);
    method_ = make_method(rollbacks);
    load_state(state, *model_, *method_);
    progress_ = state.progress;
  }
  progress_.rollbacks = rollbacks;
  among_.wait();  // all have read the state
  if (!among_.leads()) return;
  rewind_run(journal_.folder(), progress_.iterations);
  save_state(journal_.folder(), *model_, *method_,
             progress_);  // so that a resumed run has the rollback behind it
}

/// How to go on after a divergence.
std::string TrainingRun::advice() const {
  const Config& c = model_->config;
  const auto states = checkpoints(journal_.folder(), "state");
  std::string rates = fmt::format("--set lr_g={}", c.lr_g / 2);
  if (model_->E) rates += fmt::format(" --set lr_e={}", c.lr_e / 2);
  if (model_->Q) rates += fmt::format(" --set lr_q={}", c.lr_q / 2);
  return fmt::format(
      "hint: damc train --resume {} {} goes on from iteration {} with half the rates; step sizes, grad_clip, "
      "seed or "
      "--set on_nan=rollback may help, too",
      shell_path(journal_.folder().string()), rates, states.empty() ? 0 : states.rbegin()->first);
}

std::vector<double> TrainingRun::time_iterations(int count) {
  Feed feed(*batches_, batch_shape(), model_->device);
  std::vector<double> seconds;
  for (int i = 0; i < count; ++i) {
    const Clock::time_point start = Clock::now();
    const std::int64_t k = progress_.iterations + i;
    method_->iterate(k, {feed.take(k), batches_->rows(k)});
    method_->check();  // waits for the device
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  return seconds;
}

/// What is done stays, whatever the error is: of a disk, of memory, of images that are gone.
void TrainingRun::save_before(const std::exception& error) {
  if (!among_.leads()) return;
  save_in_spite_of(error, [&] {
    method_->check();
    write_state();
  });
}

/// The message when memory does not suffice, with what would fit.
std::string TrainingRun::explain(const OutOfMemory& error) {
  if (among_.part().count > 1) return error.what();  // the others train on
  const std::int64_t asked = model_->config.batch;
  journal_.say(fmt::format("batch {}: {}; trying smaller ones", asked, error.what()));
  method_.reset();  // trains no further: the memory goes to batches that are tried
  model_->config.batch_gpu = 0;
  const std::int64_t batch = fitting_batch(*model_, *split_, error);
  const std::int64_t pieces = batch == 0 ? 0 : fitting_pieces(*model_, *split_, batch);
  return with_fitting_batch(error, batch, asked) +
         (pieces == 0 ? std::string()
                      : fmt::format("\nhint: --batch-gpu {} learns the same from all {}, in pieces of {}",
                                    pieces, asked, pieces));
}

void TrainingRun::log(const Stats& stats, double seconds) {
  append_stats(journal_.folder(), progress_, stats, seconds, backend(model_->device).bytes_reserved());
  append_log(journal_.folder(), fmt::format("iteration {}  {}  {:.3g} s/it", progress_.iterations,
                                            losses(stats, 5, 4), seconds));
}

void TrainingRun::write_state() {
  save_model(journal_.folder(), *model_, progress_);
  save_state(journal_.folder(), *model_, *method_, progress_);
}

/// Of all processes, once they have agreed that there is nothing wrong with it.
void TrainingRun::save() {
  method_->check();
  check_weights();
  if (among_.leads()) write_state();
  among_.wait();  // none ends, or goes back to it, before it is there
}

/// Throws Error naming a process that has other weights than the first. Only a defect, of a machine's memory or of a
/// program, makes them differ.
void TrainingRun::check_weights() const {
  if (among_.part().count == 1) return;
  const std::vector<std::string> digests = among_.gather(sha256(model_->state_dict()));
  for (std::size_t p = 1; p < digests.size(); ++p) {
    ENSURE(digests[p] == digests[0], "after iteration {} process {} has other weights than the first",
           progress_.iterations, p);
  }
}

void TrainingRun::evaluate() {
  const Config& c = model_->config;
  evaluation_->forget();
  for (const std::string& metric : metrics_) {
    for (const Finding& found : evaluation_->measure(metric)) {
      journal_.say(fmt::format("iteration {}: {} {:.6f} {}", progress_.iterations, found.metric, found.value,
                               found.over));
      append_metric(journal_.folder(), {found.metric, found.value, found.images, progress_.iterations, "",
                                        c.seed, found.details});
    }
    if (progress_.iterations == c.iterations) {
      if (const auto line = history_line(journal_.folder(), metric)) journal_.say(*line);
    }
  }
}

}  // namespace damc
