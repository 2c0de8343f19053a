#include "tools/text_table.h"

#include <algorithm>

#include "data/file_tree.h"
#include "tensor/error.h"
#include "tensor/text.h"
#include "tools/html.h"
#include "tools/terminal.h"

namespace damc {
namespace {

using Cells = std::vector<std::string>;

constexpr const char* kGap = "  ";

/// A text in so many columns of the screen, at their left or right end.
std::string padded(const std::string& text, int width, bool right) {
  const std::string space(static_cast<std::size_t>(std::max(0, width - columns_of(text))), ' ');
  return fmt::format("{}{}", right ? space : text, right ? text : space);
}

/// Without the spaces at its end.
void add_line(std::string line, std::string& out) {
  line.erase(line.find_last_not_of(' ') + 1);
  out.append(line).append("\n");
}

std::string shown_cell(const std::string& cell) { return cell.empty() ? "-" : escaped(cell); }

/// Whether a column, other than the first, holds numbers: they stand at its right end.
bool is_numeric(const TextTable& table, std::size_t column) {
  return column > 0 && std::ranges::all_of(table.rows, [&](const Cells& row) {
           return row[column].empty() ||
                  std::string_view("+-.0123456789").find(row[column][0]) != std::string::npos;
         });
}

/// Text of one line that is no markup in Markdown.
std::string markdown(std::string_view text) {
  std::string safe;
  for (const char c : escaped(text)) {
    if (std::string_view("\\`*[]<>|&").find(c) != std::string_view::npos) safe += '\\';
    safe += c;
  }
  return safe;
}

std::string markdown_row(const Cells& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += fmt::format(" {} |", cell.empty() ? "-" : markdown(cell));
  return line + "\n";
}

std::string as_markdown(const TextTable& table) {
  std::string text;
  if (!table.title.empty()) text += fmt::format("{}\n\n", markdown(table.title));
  text += markdown_row(table.columns) + "|";
  for (std::size_t i = 0; i < table.columns.size(); ++i) text += is_numeric(table, i) ? " ---: |" : " --- |";
  text += "\n";
  for (const Cells& row : table.rows) text += markdown_row(row);
  for (const std::string& note : table.notes) text += fmt::format("\n{}\n", markdown(note));
  if (table.commands.empty()) return text;
  text += "\n```sh\n";
  for (const std::string& line : table.commands) text += escaped(line) + "\n";
  return text + "```\n";
}

std::string csv_row(const Cells& cells) {
  std::string line;
  for (const std::string& cell : cells) {
    if (&cell != &cells.front()) line += ',';
    const std::string text = escaped(cell);
    if (text.find_first_of(",\"") == text.npos) {
      line += text;
      continue;
    }
    line += '"';
    for (const char c : text) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + "\r\n";
}

std::string as_csv(const TextTable& table) {
  std::string text = csv_row(table.columns);
  for (const Cells& row : table.rows) text += csv_row(row);
  return text;
}

std::string html_row(const TextTable& table, const Cells& cells, const char* tag) {
  std::string line = "<tr>";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    line +=
        fmt::format("<{0}{1}>{2}</{0}>", i == 0 ? "th" : tag, is_numeric(table, i) ? " class=\"number\"" : "",
                    cells[i].empty() ? "&ndash;" : shown(cells[i]));
  }
  return line + "</tr>\n";
}

std::string as_html(const TextTable& table) {
  const std::string title = table.title.empty() ? "damc: runs" : shown(table.title);
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\">\n"
      "<title>{0}</title>\n<style>body {{ font: 15px sans-serif; margin: 2em; }} table {{ border-collapse: "
      "collapse; }}\n"
      "th, td {{ padding: .3em .8em; text-align: left; border-bottom: 1px solid #ccc; }}\n"
      ".number {{ text-align: right; }}</style>\n</head>\n<body>\n<h1>{0}</h1>\n<table>\n<thead>\n",
      title);
  text += html_row(table, table.columns, "th") + "</thead>\n<tbody>\n";
  for (const Cells& row : table.rows) text += html_row(table, row, "td");
  text += "</tbody>\n</table>\n";
  for (const std::string& note : table.notes) text += fmt::format("<p>{}</p>\n", shown(note));
  if (!table.commands.empty()) text += "<pre>\n";
  for (const std::string& line : table.commands) text += shown(line) + "\n";
  if (!table.commands.empty()) text += "</pre>\n";
  return text + "</body>\n</html>\n";
}

}  // namespace

TableFormat table_format(const std::filesystem::path& file) {
  const std::string suffix = ending(file);
  if (suffix == ".md") return TableFormat::markdown;
  if (suffix == ".csv") return TableFormat::csv;
  if (suffix == ".html") return TableFormat::html;
  user_error(fmt::format("--out {}: '{}' is no suffix of a table", file.string(), suffix),
             "it may be .md, .csv or .html");
}

std::string on_screen(const TextTable& table, int columns) {
  std::vector<int> widths;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    int width = columns_of(shown_cell(table.columns[i]));
    for (const Cells& row : table.rows) width = std::max(width, columns_of(shown_cell(row[i])));
    widths.push_back(width);
  }
  std::string text = table.title.empty() ? "" : wrapped(table.title, columns) + "\n\n";
  for (std::size_t first = 1; first < widths.size();) {
    int room = columns - widths[0];
    std::size_t last = first;
    for (; last < widths.size(); ++last) {
      room -= widths[last] + columns_of(kGap);
      if (room < 0 && last > first) break;
    }
    if (first > 1) text += "\n";
    const auto add = [&](const Cells& cells) {
      std::string line = padded(shown_cell(cells[0]), widths[0], false);
      for (std::size_t i = first; i < last; ++i)
        line.append(kGap).append(padded(shown_cell(cells[i]), widths[i], is_numeric(table, i)));
      add_line(std::move(line), text);
    };
    add(table.columns);
    for (const Cells& row : table.rows) add(row);
    first = last;
  }
  for (const std::string& note : table.notes) text += fmt::format("\n{}\n", wrapped(escaped(note), columns));
  if (!table.commands.empty()) text += "\n";
  for (const std::string& line : table.commands) text += escaped(line) + "\n";
  return text;
}

std::string as_file(const TextTable& table, TableFormat format) {
  switch (format) {
    case TableFormat::markdown:
      return as_markdown(table);
    case TableFormat::csv:
      return as_csv(table);
    case TableFormat::html:
      break;
  }
  return as_html(table);
}

}  // namespace damc
