#include "tools/paper_cells.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "tools/results.h"
#include "tools/shell_word.h"

namespace damc {
namespace {

/// The configuration of a row and column as the paper has it; a run's is compared with that of as many iterations, which
/// the lengths of phases follow.
Config published_config(const PaperRow& row, const PaperColumn& column, std::int64_t iterations = 0) {
  ConfigBuilder builder(column.preset);
  builder.set("method", row.method);
  if (iterations > 0) builder.set("iterations", std::to_string(iterations));
  for (const KeyValues& settings : {column.settings, row.settings}) {
    for (const auto& [key, value] : settings) builder.set(key, value);
  }
  return builder.finish();
}

bool has(const Config& config, const KeyValues& settings) {
  return std::ranges::all_of(settings, [&](const auto& setting) {
    const auto& keys = config_keys();
    const auto key = std::ranges::find_if(keys, [&](const ConfigKey& k) { return k.name == setting.first; });
    return plain_text(config, *key) == setting.second;
  });
}

std::optional<FittingRun> fitting_run(const PaperRow& row, const PaperColumn& column, const RunView& run) {
  const Config& c = run.config;
  if (c.method != row.method || find_preset(c.preset).trains != Trains::model ||
      c.architecture != find_preset(column.preset).images || !has(c, column.settings) ||
      !has(c, row.settings))
    return {};
  FittingRun found{&run, {}, published_config(row, column).iterations};
  for (const ConfigChange& change : changes(published_config(row, column, c.iterations), c)) {
    if (!shapes_results(*change.key) || change.key->name == std::string("seed")) continue;
    found.differences.push_back(fmt::format("{} {} for {}", change.key->name, change.after, change.before));
  }
  return found;
}

bool is_better(const FittingRun& a, const FittingRun& b) {
  if (a.differences.size() != b.differences.size()) return a.differences.size() < b.differences.size();
  return a.view->numbers.iteration >= b.view->numbers.iteration;
}

bool is_of_samples(const std::string& metric) { return metric == "fid"; }

/// Whether samples or reconstructions are made in another way than the method's own.
bool is_apart(const PaperCell& cell) {
  const PaperRow& row = *cell.row;
  if (is_of_samples(cell.metric()))
    return !row.from.empty() && row.from != own_source(method_parts(row.method));
  return row.noise_steps > 0;
}

ResultKey key_of(const PaperCell& cell) {
  const PaperRow& row = *cell.row;
  if (!is_of_samples(cell.metric()))
    return {cell.metric(), row.noise_steps > 0 ? fmt::format("noise in {} steps", row.noise_steps) : ""};
  return {cell.metric(), row.from.empty() ? own_source(method_parts(row.method)) : row.from};
}

/// Measures all that the paper has of the row and column, or what the run has no value of, in one go.
std::string evaluation(PaperCell cell) {
  const PaperRow& row = *cell.row;
  std::vector<std::string> metrics;
  std::string options;
  const std::size_t count = cell.table->metrics.size();
  const auto column = static_cast<std::size_t>(cell.column - cell.table->columns.data());
  for (cell.metric_number = 0; cell.metric_number < count; ++cell.metric_number) {
    if (std::isnan(row.cells[column * count + cell.metric_number].value) || result_of(cell)) continue;
    metrics.push_back(cell.metric());
    const bool samples = is_of_samples(cell.metric());
    if (is_apart(cell)) {
      options += samples ? " --from " + row.from
                         : fmt::format(" --test-start noise --test-posterior-steps {}", row.noise_steps);
    }
    if (samples) options += " --inception FILE";
  }
  return fmt::format("damc eval {} --metric {}{}",
                     cell.run ? shell_path(cell.run->view->folder.string()) : "RUN", fmt::join(metrics, ","),
                     options);
}

/// Trains, and measures at the end what the method's own samples and reconstructions have.
std::string training(const PaperCell& cell) {
  const Config config = published_config(*cell.row, *cell.column);
  std::string command =
      fmt::format("damc train --preset {} --method {}", cell.column->preset, cell.row->method);
  for (const KeyValues& settings : {cell.column->settings, cell.row->settings}) {
    for (const auto& [key, value] : settings) {
      ConfigBuilder usual(cell.column->preset);
      usual.set("method", cell.row->method);
      if (!has(usual.finish(), {{key, value}})) command += fmt::format(" --set {}={}", key, value);
    }
  }
  const bool digits = config.architecture == "mnist";
  command += fmt::format(" --data {} --out runs", digits ? "data/mnist" : "DIR");
  if (config.eval_every > 0) return command;
  return command + fmt::format(" --set eval_every={} --set eval_metrics={} --set inception=FILE",
                               config.iterations, fmt::join(cell.table->metrics, ","));
}

}  // namespace

PaperCell paper_cell(const PaperTable& table, const PaperRow& row, std::size_t number,
                     const std::vector<RunView>& runs) {
  const std::size_t metrics = table.metrics.size();
  PaperCell cell{&table, &row, &table.columns[number / metrics], number % metrics, {}};
  for (const RunView& run : runs) {
    auto found = fitting_run(row, *cell.column, run);
    if (found && (!cell.run || is_better(*found, *cell.run))) cell.run = std::move(found);
  }
  return cell;
}

std::optional<CellResult> result_of(const PaperCell& cell) {
  if (!cell.run) return {};
  const std::vector<Metric>& metrics = cell.run->view->metrics;
  if (cell.metric() == "auprc") {  // as published: over the last evaluations of the training
    const MetricHistory past = metric_history(metrics, "auprc");
    if (past.evaluations >= 2)
      return CellResult{past.mean, past.deviation,
                        fmt::format("auprc of the last {} evaluations", past.last)};
  }
  const Metric* found = newest_result(metrics, key_of(cell));
  if (!found) return {};
  return CellResult{found->value, 0.0, fmt::format("{} over {} images", found->name, found->images)};
}

std::vector<std::string> commands_for(const PaperCell& cell) {
  if (cell.row->method.empty()) return {};
  if (cell.run) return {evaluation(cell)};
  if (is_apart(cell)) return {training(cell), evaluation(cell)};
  return {training(cell)};
}

std::string own_source(const MethodParts& method) {
  if (method.sampler) return "damc";
  switch (method.prior) {
    case PriorKind::energy:
    case PriorKind::ratios:
      return "lebm";
    case PriorKind::mixture:
      return "mixture";
    case PriorKind::second_stage:
      return "second-stage";
    case PriorKind::normal:
      break;
  }
  return "gaussian";
}

}  // namespace damc
