#include "tools/report_run.h"

#include <algorithm>
#include <cmath>
#include <ctime>

#include "damc/alarms.h"
#include "damc/authors_layout.h"
#include "damc/checkpoint.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tools/evaluation.h"
#include "tools/status_line.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kPatience = 60;  // seconds without a record, in which no run counts as stalled

/// 1234567 as "1,234,567"; of numbers that are not negative.
std::string grouped(std::int64_t number) {
  if (number < 1000) return std::to_string(number);
  return fmt::format("{},{:03}", grouped(number / 1000), number % 1000);
}

/// The last number of a column that is one; 0: there is none.
double last_of(const StatsTable& stats, const std::string& name) {
  const std::vector<double>* values = stats.find(name);
  if (!values) return 0.0;
  const auto found =
      std::find_if(values->rbegin(), values->rend(), [](double v) { return std::isfinite(v); });
  return found == values->rend() ? 0.0 : *found;
}

/// Seconds that the iterations took, pauses left out.
double training_seconds(const StatsTable& stats) {
  const std::vector<double>* each = stats.find("seconds_per_iteration");
  double seconds = 0.0;
  for (std::size_t i = 0; each && i < each->size(); ++i) {
    const std::int64_t count = stats.iterations[i] - (i > 0 ? stats.iterations[i - 1] : 0);
    if (std::isfinite((*each)[i])) seconds += (*each)[i] * static_cast<double>(count);
  }
  return seconds;
}

/// "811,402 (E 43,801, G 91,393, Q 676,208)", from the header of a file of weights.
std::string parameters_text(const fs::path& weights) {
  std::map<std::string, std::int64_t> networks;
  std::int64_t total = 0;
  for (const auto& [name, tensor] : open_checkpoint(weights).tensors) {
    const std::string network = name.substr(0, name.find('.'));
    if (network == "Q_dummy") continue;  // the target sampler follows Q, and learns nothing itself
    networks[network] += tensor.numel();
    total += tensor.numel();
  }
  std::string text;
  for (const auto& [network, count] : networks)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", network, grouped(count));
  return fmt::format("{} ({})", grouped(total), text);
}

/// How a run stands that is at work or else ended with the last line of its log.
RunState state_of(bool at_work, const std::vector<LogLine>& log) {
  if (at_work) return RunState::working;
  const std::string last = log.empty() ? "" : log.back().text;
  if (last.starts_with("done: ")) return RunState::done;
  if (last.starts_with("stopped by ")) return RunState::stopped;
  if (last.starts_with("ended by an error")) return RunState::failed;
  return RunState::silent;
}

std::string state_text(RunState state, const std::vector<LogLine>& log) {
  const LogLine last = log.empty() ? LogLine{} : log.back();
  const std::string since = last.time.empty() ? "" : " at " + last.time;
  switch (state) {
    case RunState::working:
      return "running";
    case RunState::done:
      return "done" + since;
    case RunState::stopped:
      return last.text.substr(0, last.text.find(';')) + since;
    case RunState::failed:
      return last.text + since;
    case RunState::silent:
      break;
  }
  return "no end is noted: killed, or at work on another machine; last heard of" + since;
}

/// A run that works, but has not recorded anything for ten times as long as it takes between records. `now` in seconds
/// since 1970.
std::vector<std::string> stalled(const StatsTable& stats, std::int64_t now) {
  std::vector<std::int64_t> times, steps;
  for (const std::string& time : stats.times) {
    if (const auto seconds = seconds_of(time)) times.push_back(*seconds);
  }
  if (times.size() < 2) return {};
  for (std::size_t i = 1; i < times.size(); ++i) steps.push_back(times[i] - times[i - 1]);
  const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
  std::nth_element(steps.begin(), middle, steps.end());
  const std::int64_t silence = now - times.back();
  if (silence <= std::max(10 * *middle, kPatience)) return {};
  return {fmt::format("stalled: no record for {}, where one came every {}",
                      duration_text(static_cast<double>(silence)),
                      duration_text(static_cast<double>(*middle)))};
}

/// What is wrong, the worst first.
std::vector<std::string> alarms_of(const RunView& run, const std::vector<LogLine>& log) {
  std::vector<std::string> found;
  for (const LogLine& line : log) {
    if (line.text.starts_with("diverged: ")) found.push_back("divergence: " + line.text);
  }
  if (run.state == RunState::failed) found.push_back(log.back().text);
  for (std::string& alarm : alarms(run.stats)) found.push_back(std::move(alarm));
  if (run.state == RunState::working) {
    for (std::string& alarm : stalled(run.stats, std::time(nullptr))) found.push_back(std::move(alarm));
  }
  return found;
}

std::vector<std::pair<std::string, std::string>> facts_of(const RunView& run, const fs::path& folder,
                                                          const std::vector<LogLine>& log) {
  const Config& c = run.config;
  const StatsTable& stats = run.stats;
  const auto models = checkpoints(folder, "model");
  const bool recorded = !stats.iterations.empty();
  const std::int64_t iteration =
      std::max(recorded ? stats.iterations.back() : 0, models.empty() ? 0 : models.rbegin()->first);
  const double seconds = last_of(stats, "seconds_per_iteration");
  const auto left = static_cast<double>(c.iterations - iteration) * seconds;
  std::string data;
  if (!models.empty()) data = open_checkpoint(models.rbegin()->second).metadata["data"];
  return {{"state", state_text(run.state, log)},
          {"preset", c.preset},
          {"method", c.method},
          {"iteration", fmt::format("{} of {}", grouped(iteration), grouped(c.iterations))},
          {"images seen", grouped(recorded ? stats.images_seen.back() : iteration * c.batch)},
          {"time in training", recorded ? duration_text(training_seconds(stats)) : ""},
          {"time left", run.state == RunState::working && seconds > 0.0 ? duration_text(left) : ""},
          {"speed", seconds > 0.0 ? fmt::format("{:.3g} s/iteration, {:.3g} images/s", seconds,
                                                static_cast<double>(c.batch) / seconds)
                                  : ""},
          {"last record", recorded ? stats.times.back() : ""},
          {"device, precision", c.device + ", " + name(c.precision)},
          {"memory", recorded ? fmt::format("{:.0f} MiB", last_of(stats, "memory_mib")) : ""},
          {"parameters", models.empty() ? "" : parameters_text(models.rbegin()->second)},
          {"weights", models.empty() ? "none are saved yet" : models.rbegin()->second.filename().string()},
          {"data", data}};
}

}  // namespace

RunView view_run(const fs::path& folder) {
  check_run_folder(folder);
  RunView run;
  run.name = fs::canonical(folder).filename().string();
  run.config = read_config(folder / "config.toml");
  const bool at_work =
      FolderLock::is_held(folder);  // before the log, whose last line a run may be about to write
  const std::vector<LogLine> log = read_log(folder);
  run.state = state_of(at_work, log);
  run.stats = read_stats(folder);
  run.metrics = read_metrics(folder);
  for (const std::string& metric : metric_names()) {
    if (const auto line = history_line(folder, metric)) run.histories.push_back(*line);
  }
  run.pictures = numbered_pictures(folder / "grids");
  run.chains = numbered_pictures(folder / "chains");
  run.alarms = alarms_of(run, log);
  run.facts = facts_of(run, folder, log);
  return run;
}

}  // namespace damc
