#include "tools/report_run.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <set>

#include "damc/alarms.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/text.h"
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

/// "811,402 (E 43,801, G 91,393, Q 676,208)"
std::string parameters_text(const RunNumbers& numbers) {
  std::string text;
  for (const auto& [network, count] : numbers.parameters)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", network, grouped(count));
  return fmt::format("{} ({})", grouped(numbers.parameter_count()), text);
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

std::vector<std::pair<std::string, std::string>> facts_of(const RunView& run,
                                                          const std::vector<LogLine>& log) {
  const Config& c = run.config;
  const RunNumbers& n = run.numbers;
  const bool recorded = !run.stats.iterations.empty(), saved = !n.weights.empty();
  const double seconds = n.seconds_per_iteration;
  const auto left = static_cast<double>(c.iterations - n.iteration) * seconds;
  return {{"state", state_text(run.state, log)},
          {"preset", c.preset},
          {"method", c.method},
          {"iteration", fmt::format("{} of {}", grouped(n.iteration), grouped(c.iterations))},
          {"images seen", grouped(n.images_seen)},
          {"time in training", recorded ? duration_text(n.seconds) : ""},
          {"time left", run.state == RunState::working && seconds > 0.0 ? duration_text(left) : ""},
          {"speed", seconds > 0.0 ? fmt::format("{:.3g} s/iteration, {:.3g} images/s", seconds,
                                                static_cast<double>(c.batch) / seconds)
                                  : ""},
          {"last record", recorded ? run.stats.times.back() : ""},
          {"device, precision", c.device + ", " + name(c.precision)},
          {"memory", recorded ? fmt::format("{:.0f} MiB", n.memory_mib) : ""},
          {"parameters", saved ? parameters_text(n) : ""},
          {"weights", saved ? n.weights.filename().string() : "none are saved yet"},
          {"data", n.data}};
}

}  // namespace

RunView view_run(const fs::path& folder) {
  check_run_folder(folder);
  RunView run;
  run.folder = folder;
  run.name = fs::canonical(folder).filename().string();
  run.config = read_config(folder / "config.toml");
  const bool at_work =
      FolderLock::is_held(folder);  // before the log, whose last line a run may be about to write
  const std::vector<LogLine> log = read_log(folder);
  run.state = state_of(at_work, log);
  run.stats = read_stats(folder);
  run.metrics = read_metrics(folder);
  run.numbers = run_numbers(folder, run.stats, run.config.batch);
  for (const std::string& metric : metric_names()) {
    if (const auto line = history_line(folder, metric)) run.histories.push_back(*line);
  }
  run.pictures = numbered_pictures(folder / "grids");
  run.chains = numbered_pictures(folder / "chains");
  run.alarms = alarms_of(run, log);
  run.facts = facts_of(run, log);
  return run;
}

std::vector<RunView> view_runs(const std::vector<std::string>& folders) {
  std::vector<RunView> runs;
  std::map<std::string, int> names;
  std::set<fs::path> seen;
  for (const std::string& folder : folders) {
    runs.push_back(view_run(folder));
    ++names[runs.back().name];
    if (!seen.insert(fs::canonical(folder)).second)
      user_error(fmt::format("'{}' is given twice", escaped(folder)), "leave one of them out");
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (names[runs[i].name] > 1) runs[i].name = folders[i];
  }
  return runs;
}

}  // namespace damc
