/// The program `damc`.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <system_error>

#include "tensor/error.h"
#include "tensor/processes/launch.h"
#include "tensor/text.h"
#include "tools/command_line.h"
#include "tools/commands.h"
#include "tools/screen.h"
#include "tools/startup.h"
#include "tools/stop_signal.h"

namespace {

/// An error is one line on stderr, and a hint where there is one, whatever the names in them hold.
int report(std::string_view message, int code) {
  constexpr std::string_view mark = "\nhint: ";
  const std::size_t hint = message.rfind(mark);
  damc::show_aside(fmt::format("damc: error: {}\n", damc::escaped(message.substr(0, hint))));
  if (hint != message.npos)
    damc::show_aside(fmt::format("hint: {}\n", damc::escaped(message.substr(hint + mark.size()))));
  return code;
}

/// A stream that the caller has closed never leads into a file that is opened later. What is written to such a standard
/// output is lost, which finish() tells.
void open_standard_streams() {
  for (int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    const int mode = descriptor == STDOUT_FILENO ? O_RDONLY : O_RDWR;
    if (::fcntl(descriptor, F_GETFD) < 0 && ::open("/dev/null", mode) < 0) std::abort();
  }
}

/// Refuses options with an empty value, such as an unset variable of a script leaves: each would mean that it was not
/// given.
void refuse_empty_values(CLI::App& command) {
  command.parse_complete_callback([&command] {
    for (const CLI::Option* option : command.get_options()) {
      if (option->get_items_expected_min() == 0) continue;  // it may stand alone, and has an empty value then
      for (const std::string& value : option->results()) {
        if (value.empty()) {
          damc::user_error(fmt::format("{} '' is empty", option->get_name()),
                           "give a value, or leave it out");
        }
      }
    }
  });
  for (CLI::App* part : command.get_subcommands({})) refuse_empty_values(*part);
}

/// Refuses to do several times at once, on the same files, what processes do not share.
void refuse_together(const std::vector<std::string>& arguments) {
  const auto [part, by] = damc::launched();
  if (part.count == 1 || arguments.empty() || arguments[0].starts_with('-')) return;
  constexpr std::string_view kTogether[] = {"train", "sample", "reconstruct", "eval", "info", "help"};
  if (std::ranges::find(kTogether, arguments[0]) != std::end(kTogether)) return;
  if (part.index > 0) throw damc::Exit{2};
  damc::user_error(fmt::format("'{}' works in one process, {} started {}", arguments[0], by, part.count),
                   fmt::format("start it without {}", by));
}

/// Whether a command has results to keep besides what it shows.
bool keeps_results(const std::vector<std::string>& arguments) {
  constexpr std::string_view kKeeping[] = {"sample", "reconstruct", "eval", "chain", "toy"};
  return !arguments.empty() && std::ranges::find(kKeeping, arguments[0]) != std::end(kKeeping);
}

int report_lost_output(int reason) {
  return report(fmt::format("cannot write to standard output: {}", std::strerror(reason)), 1);
}

/// Exit code 0, once all output has reached its place.
int finish() {
  if (damc::lost_reader()) std::raise(SIGPIPE);
  damc::flush_output();
  return damc::output_lost() == 0 ? 0 : report_lost_output(damc::output_lost());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  open_standard_streams();
  damc::ignore_as_before();
  std::signal(SIGXFSZ, SIG_IGN);  // a file beyond the limit is an error of the write, which has a message
  if (keeps_results(arguments)) damc::outlive_reader();
  CLI::App program{"DAMC: energy-based priors and diffusion-amortised MCMC, from scratch", "damc"};
  program.require_subcommand(0, 1);  // that there is one is checked below: so the error names an unknown one
  program.failure_message([](const CLI::App*, const CLI::Error&) { return std::string(); });
  damc::add_train_command(program, arguments);
  damc::add_sample_command(program);
  damc::add_reconstruct_command(program);
  damc::add_invert_command(program);
  damc::add_eval_command(program);
  damc::add_chain_command(program);
  damc::add_report_command(program);
  damc::add_compare_command(program);
  damc::add_table_command(program);
  damc::add_movie_command(program);
  damc::add_toy_command(program);
  damc::add_apply_command(program);
  damc::add_data_command(program);
  damc::add_convert_command(program);
  damc::add_info_command(program);
  damc::add_gradcheck_command(program);
  damc::add_bench_command(program);
  damc::add_help_and_version(program);
  refuse_empty_values(program);
  try {
    damc::check_command_names(program, arguments);
    refuse_together(arguments);
    program.parse(argc, argv);
    if (program.get_subcommands().empty())
      damc::user_error("no command given", "'damc --help' lists what there is");
  } catch (const CLI::CallForHelp&) {
    damc::show(damc::help_text(program));
  } catch (const CLI::CallForVersion& version) {
    damc::show(fmt::format("{}\n", version.what()));
  } catch (const CLI::ParseError& error) {
    if (damc::launched().part.index > 0) return 2;  // the first of the processes says it
    return report(damc::explain(program, error, arguments), 2);
  } catch (const damc::Exit& exit) {
    return exit.code;
  } catch (const damc::UserError& error) {
    return report(error.what(), 2);
  } catch (const std::filesystem::filesystem_error& error) {
    return report(fmt::format("'{}': {}", error.path1().string(), error.code().message()), 1);
  } catch (const std::system_error& error) {
    if (std::ferror(stdout)) return report_lost_output(error.code().value());
    return report(error.what(), 1);
  } catch (const std::bad_alloc&) {
    return report("out of memory", 1);
  } catch (const std::exception& error) {
    return report(error.what(), 1);
  }
  return finish();
}
