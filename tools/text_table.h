/// A table of short texts: on a screen, or as a file that others read.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace damc {

struct TextTable {
  std::string title;                           ///< "" for none
  std::vector<std::string> columns;            ///< their names
  std::vector<std::vector<std::string>> rows;  ///< a text for each column; "": there is nothing
  std::vector<std::string> notes = {};         ///< paragraphs below
  std::vector<std::string> commands = {};      ///< lines below those, to be copied
};

enum class TableFormat { markdown, csv, html };

/// By the end of the name of a file, the value of --out: .md, .csv or .html. Throws UserError for another.
TableFormat table_format(const std::filesystem::path& file);

/// In so many columns of the screen: where it is wider, as several tables below each other, each with the first column.
std::string on_screen(const TextTable& table, int columns);

/// As the whole of a file. In CSV (RFC 4180) there is the table alone.
std::string as_file(const TextTable& table, TableFormat format);

}  // namespace damc
