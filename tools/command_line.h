/// What stands around the commands: help, version, and mistakes on the command line in words that help.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace damc {

/// Adds --version and the command `help [COMMAND...]`.
void add_help_and_version(CLI::App& program);

/// Throws UserError for the first command that does not exist, naming its neighbour, before anything is parsed.
void check_command_names(CLI::App& program, const std::vector<std::string>& arguments);

/// The message of a mistake that parsing found, with a hint.
std::string explain(CLI::App& program, const CLI::ParseError& error,
                    const std::vector<std::string>& arguments);

/// Help of the command that was given, as wide as the screen.
std::string help_text(const CLI::App& program);

/// A validator of whole numbers; its messages name what was given and the bound that it breaks.
CLI::Validator whole_number(std::int64_t least, std::int64_t most);

/// A validator of names; its message holds the one that may have been meant.
CLI::Validator one_of(const std::vector<std::string>& names);

}  // namespace damc
