/// `damc compare`: runs beside each other in a table, a line for each.

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <span>

#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/text.h"
#include "tools/commands.h"
#include "tools/report_run.h"
#include "tools/results.h"
#include "tools/screen.h"
#include "tools/shared_options.h"
#include "tools/status_line.h"
#include "tools/terminal.h"
#include "tools/text_table.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

struct CompareOptions {
  std::vector<std::string> runs;
  std::string out;
};

/// A table in the making. Columns in which no run has anything are left out.
class Comparison {
 public:
  /// With `raw` numbers in full, each in a column of its own, for other programs.
  Comparison(const std::vector<RunView>& runs, bool raw) : runs_(runs), raw_(raw), rows_(runs.size()) {}

  /// A column whose text is `cell(run)`.
  template <class Cell>
  void add(const std::string& name, const Cell& cell) {
    std::vector<std::string> cells;
    for (const RunView& run : runs_) cells.push_back(cell(run));
    if (std::ranges::all_of(cells, &std::string::empty)) return;
    columns_.push_back(name);
    for (std::size_t i = 0; i < cells.size(); ++i) rows_[i].push_back(std::move(cells[i]));
  }
  /// A number of which 0 is none, in words or raw.
  template <class Number, class Words>
  void add_number(const std::string& name, const Number& number, const Words& words) {
    add(name, [&](const RunView& run) -> std::string {
      const auto value = number(run);
      if (value == 0) return "";
      return raw_ ? fmt::format("{}", value) : words(run, value);
    });
  }
  void add_result(const ResultKey& key);

  TextTable finish(std::vector<std::string> notes) {
    return {"", std::move(columns_), std::move(rows_), std::move(notes), {}};
  }

 private:
  const std::vector<RunView>& runs_;
  bool raw_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
};

void Comparison::add_result(const ResultKey& key) {
  const auto in_words = [&key](const RunView& run) -> std::string {
    const Metric* found = newest_result(run.metrics, key);
    if (!found) return "";
    const std::string when =
        found->iteration == run.numbers.iteration ? "" : fmt::format(", iteration {}", found->iteration);
    return fmt::format("{:.5g} ({}{})", found->value, found->images, when);
  };
  const auto history_of = [&key](const RunView& run) { return metric_history(run.metrics, key.label); };
  const bool of_training = key.label.starts_with("auprc");  // published as a mean of the last evaluations
  if (!raw_) {
    add(key.text(), in_words);
    if (!of_training) return;
    add(key.text() + " in training", [&](const RunView& run) -> std::string {
      const MetricHistory past = history_of(run);
      if (past.evaluations < 2) return "";
      return fmt::format("{:.4g} +- {:.2g} ({})", past.mean, past.deviation, past.last);
    });
    return;
  }
  const auto add_of = [&](const std::string& what, const auto& value) {
    add(key.text() + what, [&](const RunView& run) -> std::string {
      const Metric* found = newest_result(run.metrics, key);
      return found ? fmt::format("{}", value(*found)) : "";
    });
  };
  add_of("", [](const Metric& found) { return found.value; });
  add_of(" images", [](const Metric& found) { return found.images; });
  add_of(" iteration", [](const Metric& found) { return found.iteration; });
  if (!of_training) return;
  const auto add_history = [&](const std::string& what, const auto& value) {
    add(key.text() + what, [&](const RunView& run) -> std::string {
      const MetricHistory past = history_of(run);
      return past.evaluations < 2 ? "" : fmt::format("{}", value(past));
    });
  };
  add_history(" mean in training", [](const MetricHistory& past) { return past.mean; });
  add_history(" deviation in training", [](const MetricHistory& past) { return past.deviation; });
  add_history(" evaluations in training", [](const MetricHistory& past) { return past.last; });
}

/// What of its configuration tells each run from the others, besides preset and method: "sigma=0.3 batch=64".
std::vector<std::string> settings_of(const std::vector<RunView>& runs) {
  std::vector<std::string> settings(runs.size());
  for (const ConfigKey& key : config_keys()) {
    if (!shapes_results(key)) continue;
    const std::string first = plain_text(runs[0].config, key);
    if (std::ranges::all_of(runs, [&](const RunView& run) { return plain_text(run.config, key) == first; }))
      continue;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const std::string value = plain_text(runs[i].config, key);
      if (value == plain_text(usual_config(runs[i].config), key)) continue;
      settings[i] += fmt::format("{}{}={}", settings[i].empty() ? "" : " ", key.name, value);
    }
  }
  return settings;
}

/// Which runs' results of a column were measured against what, in words; "" where that is the same for all.
std::string unlike_references(const std::vector<RunView>& runs, const ResultKey& key) {
  std::map<std::string, std::vector<std::string>> runs_of;
  for (const RunView& run : runs) {
    if (const Metric* found = newest_result(run.metrics, key))
      runs_of[reference_of(*found)].push_back(run.name);
  }
  if (runs_of.size() < 2) return "";
  std::string text = fmt::format("{} is not of one reference:", key.text());
  for (const auto& [reference, names] : runs_of) {
    text += fmt::format("{} {} of {}", text.ends_with(':') ? "" : ";", fmt::join(names, ", "),
                        reference.empty() ? "none that is noted" : reference);
  }
  return text + ".";
}

TextTable comparison(const std::vector<RunView>& runs, bool raw) {
  Comparison table(runs, raw);
  table.add("run", [](const RunView& run) { return run.name; });
  table.add("method", [](const RunView& run) {
    return find_preset(run.config.preset).trains != Trains::model ? std::string() : run.config.method;
  });
  table.add("preset", [](const RunView& run) { return run.config.preset; });
  const std::vector<std::string> settings = settings_of(runs);
  table.add("settings",
            [&](const RunView& run) { return settings[static_cast<std::size_t>(&run - runs.data())]; });
  table.add_number(
      "iterations", [](const RunView& run) { return run.numbers.iteration; },
      [](const RunView& run, std::int64_t done) {
        return done == run.config.iterations ? fmt::format("{}", done)
                                             : fmt::format("{} of {}", done, run.config.iterations);
      });
  table.add_number(
      raw ? "seconds" : "time", [](const RunView& run) { return run.numbers.seconds; },
      [](const RunView&, double seconds) { return duration_text(seconds); });
  table.add_number(
      "s/iteration", [](const RunView& run) { return run.numbers.seconds_per_iteration; },
      [](const RunView&, double seconds) { return fmt::format("{:.3g}", seconds); });
  table.add_number(
      "parameters", [](const RunView& run) { return run.numbers.parameter_count(); },
      [](const RunView&, std::int64_t count) { return fmt::format("{}", count); });
  table.add_number(
      "memory MiB", [](const RunView& run) { return run.numbers.memory_mib; },
      [](const RunView&, double mebibytes) { return fmt::format("{:.0f}", mebibytes); });
  std::vector<const std::vector<Metric>*> results;
  for (const RunView& run : runs) results.push_back(&run.metrics);
  const std::vector<ResultKey> keys = result_keys(results);
  for (const ResultKey& key : keys) table.add_result(key);
  std::vector<std::string> notes;
  if (keys.empty()) {
    notes.push_back("None of the runs has been evaluated: 'damc eval RUN' measures.");
  } else {
    notes.push_back(
        "In brackets: images that a metric is over, of evaluations in training how many; mean +- deviation "
        "are of those.");
  }
  for (const ResultKey& key : keys) {
    if (const std::string note = unlike_references(runs, key); !note.empty()) notes.push_back(note);
  }
  return table.finish(std::move(notes));
}

void compare(const CompareOptions& options) {
  std::optional<TableFormat> format;
  if (!options.out.empty()) {
    format = table_format(options.out);
    check_output_file("--out", options.out);
  }
  const TextTable table = comparison(view_runs(options.runs), format == TableFormat::csv);
  if (!format) return show(on_screen(table, terminal_columns()));
  const std::string text = as_file(table, *format);
  atomic_write_file(options.out, std::as_bytes(std::span(text)));
  fmt::print("{}: {} run{}\n", escaped(options.out), table.rows.size(), table.rows.size() == 1 ? "" : "s");
}

}  // namespace

void add_compare_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand("compare", "Put runs beside each other in a table");
  auto options = std::make_shared<CompareOptions>();
  command->add_option("runs", options->runs, "run folders, also of runs that train")
      ->type_name("RUN")
      ->required();
  command
      ->add_option("--out", options->out,
                   "a file for the table: Markdown, CSV (numbers in full) or HTML (default: the screen)")
      ->type_name("FILE.md|csv|html");
  command->callback([options] { compare(*options); });
}

}  // namespace damc
