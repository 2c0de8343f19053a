#include "tools/command_line.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <memory>

#include "damc/config.h"
#include "tensor/error.h"
#include "tensor/text.h"
#include "tools/screen.h"
#include "tools/terminal.h"
#include "tools/version.h"

namespace damc {
namespace {

using Arguments = std::vector<std::string>;

constexpr const char* kHelp = "'damc --help' and 'damc COMMAND --help' list what there is";

Arguments command_names(const CLI::App& app) {
  Arguments names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

/// The command `name` of a program or of another command. Throws UserError when there is none.
CLI::App& find_command(CLI::App& app, const std::string& name) {
  const Arguments names = command_names(app);
  if (std::ranges::find(names, name) != names.end()) return *app.get_subcommand(name);
  if (names.empty()) user_error(fmt::format("'{}' has no command '{}' of its own", app.get_name(), name));
  user_error(fmt::format("unknown command '{}'", name),
             did_you_mean(name, names) + fmt::format("commands are {}", fmt::join(names, ", ")));
}

/// The innermost command that was given.
CLI::App& given_command(CLI::App& program) {
  CLI::App* command = &program;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().back();
  return *command;
}

/// What may have been meant by an option that a command does not have.
std::string option_hint(const CLI::App& command, const std::string& option) {
  std::string name = option.substr(2, option.find('=') - 2), key = name;
  if (command.get_option_no_throw("--" + name) != nullptr)
    return fmt::format("write it after '{}', and before any '--'", command.get_name());
  std::ranges::replace(key, '-', '_');
  const bool configured = command.get_option_no_throw("--set") != nullptr;
  if (configured && std::ranges::any_of(config_keys(), [&](const ConfigKey& k) { return k.name == key; }))
    return fmt::format("'{}' is a key: write --set {}=VALUE", key, key);
  Arguments names;
  for (const CLI::Option* known : command.get_options()) {
    for (const std::string& long_name : known->get_lnames()) names.push_back("--" + long_name);
  }
  Arguments longer;  // of which it is the beginning
  std::ranges::copy_if(names, std::back_inserter(longer),
                       [&](const std::string& known) { return known.starts_with("--" + name); });
  if (!name.empty() && longer.size() == 1) return fmt::format("did you mean '{}'?", longer[0]);
  std::string path = command.get_name();
  for (const CLI::App* parent = command.get_parent(); parent; parent = parent->get_parent())
    path = parent->get_name() + " " + path;
  return did_you_mean("--" + name, names) + fmt::format("'{} --help' lists all", path);
}

/// An option that was given too often, or without a value, in words; "" for other mistakes.
std::string explain_count(const std::string& message) {
  constexpr std::string_view often = ": At Most 1 required but received ", without = ": 1 required ";
  if (const std::size_t at = message.find(often); at != message.npos) {
    return fmt::format("{} is given {} times\nhint: give it once", message.substr(0, at),
                       message.substr(at + often.size()));
  }
  const std::size_t at = message.find(without);
  if (at == message.npos || !message.ends_with(" missing")) return {};
  return fmt::format("{0} has no value\nhint: write it behind: {0} VALUE", message.substr(0, at));
}

}  // namespace

void add_help_and_version(CLI::App& program) {
  program.set_version_flag("--version", version_text,
                           "Print version, commit, compiler and libraries and exit");
  auto names = std::make_shared<Arguments>();
  CLI::App* command = program.add_subcommand("help", "Show the help of a command");
  command->add_option("command", *names, "such as: train, or: data pack")->type_name("COMMAND");
  command->callback([&program, names] {
    CLI::App* wanted = &program;
    std::string path = program.get_name();
    for (const std::string& name : *names) {
      wanted = &find_command(*wanted, name);
      path += " " + name;
    }
    show(wrapped(wanted->get_formatter()->make_help(wanted, path, CLI::AppFormatMode::Normal),
                 terminal_columns()));
  });
}

void check_command_names(CLI::App& program, const Arguments& arguments) {
  CLI::App* app = &program;
  for (const std::string& argument : arguments) {
    if (argument.starts_with('-') || app->get_subcommands({}).empty()) return;
    app = &find_command(*app, argument);
  }
}

std::string explain(CLI::App& program, const CLI::ParseError& error, const Arguments& arguments) {
  const std::string message = error.what();
  if (message.find("\nhint: ") != message.npos) return message;
  if (const std::string counted = explain_count(message); !counted.empty()) return counted;
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const Arguments extra = program.remaining(true);
    const auto first = std::ranges::find_first_of(arguments, extra);
    if (first != arguments.end()) {
      const CLI::App& command = given_command(program);
      return fmt::format("'{}' takes no '{}'\nhint: {}", command.get_name(), *first,
                         first->starts_with("--") ? option_hint(command, *first) : std::string(kHelp));
    }
  }
  return fmt::format("{}\nhint: {}", message, kHelp);
}

std::string help_text(const CLI::App& program) { return wrapped(program.help(), terminal_columns()); }

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  const auto check = [least, most](const std::string& text) -> std::string {
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, failure] = std::from_chars(text.data(), end, value);
    const bool digits = text.size() > text.starts_with('-') &&
                        text.find_first_not_of("0123456789", text.starts_with('-')) == text.npos;
    if (!digits || (failure == std::errc{} && stop != end))
      return fmt::format("'{}' is not a whole number", text);
    const bool below = failure == std::errc{} ? value < least : text.starts_with('-');
    if (below) return fmt::format("{} is too small; it must be at least {}", text, least);
    const bool above = failure != std::errc{} || value > most;
    if (above) return fmt::format("{} is too large; it must be at most {}", text, most);
    if (text == std::to_string(value)) return {};
    return fmt::format("'{}' is written as {}", text, value);  // 010 would be read as eight
  };
  return CLI::Validator(check, "");
}

CLI::Validator one_of(const Arguments& names) {
  const auto check = [names](const std::string& text) {
    if (std::ranges::find(names, text) != names.end()) return std::string();
    return fmt::format("'{}' is not one of {}\nhint: {}choose one of these", text, fmt::join(names, ", "),
                       did_you_mean(text, names));
  };
  return CLI::Validator(check, fmt::format("{{{}}}", fmt::join(names, ",")));
}

}  // namespace damc
