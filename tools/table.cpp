/// `damc table`: a table of the paper, with values of runs below the published ones, and commands for those that are
/// missing.

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/paper_cells.h"
#include "tools/screen.h"
#include "tools/shared_options.h"
#include "tools/terminal.h"
#include "tools/text_table.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

struct TableOptions {
  std::string name, folder, out;
  std::vector<std::string> runs;
};

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const PaperTable& table : paper_tables()) all.push_back(table.name);
  return all;
}

/// The runs of a folder, in the order of their names.
std::vector<std::string> runs_in(const fs::path& folder) {
  std::vector<std::string> found;
  if (!fs::exists(status_of(folder)))
    user_error(fmt::format("--runs {}: there is no such folder", folder.string()));
  std::error_code unknown;
  for (const fs::path& entry : entries_of(folder)) {
    if (fs::is_regular_file(entry / "config.toml", unknown)) found.push_back(entry.string());
  }
  if (found.empty()) {
    user_error(fmt::format("--runs {}: there is no run in it", folder.string()),
               "name the folder that 'damc train --out' has made runs in");
  }
  return found;
}

/// The published values in a line for each row, and below them those of runs; with commands for those that are missing.
class Rendering {
 public:
  Rendering(const PaperTable& paper, const std::vector<RunView>& runs) : paper_(paper), runs_(runs) {}
  TextTable table();

 private:
  struct Wanted {
    std::string command;
    std::vector<std::string> cells;  // that it is for
  };

  void add_row(const PaperRow& row);
  std::string found_text(const PaperCell& cell);
  std::string mark(const FittingRun& run, const std::string& over);
  void add_commands(const PaperCell& cell);

  const PaperTable& paper_;
  const std::vector<RunView>& runs_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::string> notes_;  // [1], [2] ... of runs
  std::vector<Wanted> wanted_;
};

/// With the digits that the paper has.
std::string value_text(const std::string& metric, double value, double deviation) {
  const std::string text = fmt::format("{:.{}f}", value, metric == "fid" ? 2 : 3);
  return deviation > 0.0 ? fmt::format("{} +- {:.2g}", text, deviation) : text;
}

/// The number of the note that says what a run's value is of.
std::string Rendering::mark(const FittingRun& run, const std::string& over) {
  std::string note = fmt::format("{}: {}", run.view->name, over);
  if (run.view->numbers.iteration < run.iterations)
    note += fmt::format(", after {} iterations of {}", run.view->numbers.iteration, run.iterations);
  if (!run.differences.empty())
    note += fmt::format("; not as published: {}", fmt::join(run.differences, ", "));
  const auto known = std::ranges::find(notes_, note);
  const auto number = known - notes_.begin() + 1;
  if (known == notes_.end()) notes_.push_back(std::move(note));
  return fmt::format("[{}]", number);
}

std::string Rendering::found_text(const PaperCell& cell) {
  const std::optional<CellResult> found = result_of(cell);
  if (!found) return "";
  return value_text(cell.metric(), found->value, found->deviation) + " " + mark(*cell.run, found->over);
}

/// What trains once for all cells of a run, with what evaluates that run behind it.
void Rendering::add_commands(const PaperCell& cell) {
  const std::string label = fmt::format("{}, {}", cell.row->label, cell.column->label);
  auto place = wanted_.end();
  for (const std::string& command : commands_for(cell)) {
    const bool first = place == wanted_.end();
    if (first) {
      place = std::ranges::find(wanted_, command, &Wanted::command);
    } else if (++place != wanted_.end() && place->command != command) {
      place = wanted_.insert(place, {command, {}});
    }
    if (place == wanted_.end()) place = wanted_.insert(place, {command, {}});
    if (std::ranges::find(place->cells, label) == place->cells.end()) place->cells.push_back(label);
  }
}

void Rendering::add_row(const PaperRow& row) {
  std::vector<std::string> published{row.label}, found{"  here"};
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    const PaperCell cell = paper_cell(paper_, row, i, runs_);
    const Published& of = row.cells[i];
    const bool is_published = !std::isnan(of.value);
    published.push_back(is_published ? value_text(cell.metric(), of.value, of.deviation) : "");
    found.push_back(found_text(cell));
    if (found.back().empty() && is_published) add_commands(cell);
  }
  rows_.push_back(std::move(published));
  if (std::any_of(found.begin() + 1, found.end(), [](const std::string& cell) { return !cell.empty(); }))
    rows_.push_back(std::move(found));
}

TextTable Rendering::table() {
  TextTable table{paper_.title, {"model"}, {}, paper_.notes, {}};
  for (const PaperColumn& column : paper_.columns) {
    for (const std::string& metric : paper_.metrics)
      table.columns.push_back(paper_.metrics.size() > 1 ? column.label + " " + metric : column.label);
  }
  for (const PaperRow& row : paper_.rows) add_row(row);
  table.rows = std::move(rows_);
  for (std::size_t i = 0; i < notes_.size(); ++i)
    table.notes.push_back(fmt::format("[{}] {}", i + 1, notes_[i]));
  if (!wanted_.empty()) {
    table.notes.push_back(
        "What is missing, these commands make. RUN is the run of the line above, DIR the folder of the "
        "images, "
        "FILE the weights of Inception-v3.");
  }
  for (const Wanted& wanted : wanted_)
    table.commands.push_back(fmt::format("{}  # {}", wanted.command, fmt::join(wanted.cells, "; ")));
  return table;
}

void print_table(const TableOptions& options) {
  std::optional<TableFormat> format;
  if (!options.out.empty()) {
    format = table_format(options.out);
    check_output_file("--out", options.out);
  }
  std::vector<std::string> folders = options.runs;
  if (!options.folder.empty()) {
    for (std::string& folder : runs_in(options.folder)) folders.push_back(std::move(folder));
  }
  const auto paper = std::ranges::find(paper_tables(), options.name, &PaperTable::name);
  const std::vector<RunView> runs = view_runs(folders);
  const TextTable table = Rendering(*paper, runs).table();
  if (!format) return show(on_screen(table, terminal_columns()));
  const std::string text = as_file(table, *format);
  atomic_write_file(options.out, std::as_bytes(std::span(text)));
  fmt::print("{}: {}\n", escaped(options.out), table.title);
}

}  // namespace

void add_table_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "table",
      "Show a table of the paper, values of runs beside it, and commands for those that are missing");
  auto options = std::make_shared<TableOptions>();
  command->add_option("table", options->name, "its number in the paper")
      ->type_name("TABLE")
      ->required()
      ->check(one_of(names()));
  command->add_option("run", options->runs, "run folders to take values from")->type_name("RUN");
  command->add_option("--runs", options->folder, "a folder: all runs in it")->type_name("DIR");
  command
      ->add_option("--out", options->out, "a file for the table: Markdown, CSV or HTML (default: the screen)")
      ->type_name("FILE.md|csv|html");
  command->callback([options] { print_table(*options); });
}

}  // namespace damc
