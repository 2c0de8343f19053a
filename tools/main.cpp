/// The program `damc`.

#include <cstdio>
#include <cstdlib>

#include "tensor/error.h"
#include "tensor/text.h"
#include "tools/commands.h"

namespace {

constexpr const char* kHelp = "'damc --help' and 'damc COMMAND --help' list what there is";

/// An error is one line on stderr, and a hint where there is one, whatever the names in them hold.
int report(std::string_view message, int code) {
  constexpr std::string_view mark = "\nhint: ";
  const std::size_t hint = message.rfind(mark);
  fmt::print(stderr, "damc: error: {}\n", damc::escaped(message.substr(0, hint)));
  if (hint != message.npos)
    fmt::print(stderr, "hint: {}\n", damc::escaped(message.substr(hint + mark.size())));
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program{"DAMC: energy-based priors and diffusion-amortised MCMC, from scratch", "damc"};
  program.require_subcommand(0, 1);  // that there is one is checked below: so the error names an unknown one
  program.failure_message([](const CLI::App*, const CLI::Error&) { return std::string(); });
  damc::add_train_command(program);
  damc::add_sample_command(program);
  damc::add_reconstruct_command(program);
  damc::add_eval_command(program);
  damc::add_chain_command(program);
  damc::add_toy_command(program);
  damc::add_apply_command(program);
  damc::add_data_command(program);
  damc::add_info_command(program);
  damc::add_bench_command(program);
  try {
    program.parse(argc, argv);
    if (program.get_subcommands().empty()) damc::user_error("no command given", kHelp);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help
    return report(fmt::format("{}\nhint: {}", error.what(), kHelp), 2);
  } catch (const damc::Exit& exit) {
    return exit.code;
  } catch (const damc::UserError& error) {
    return report(error.what(), 2);
  } catch (const std::exception& error) {
    return report(error.what(), 1);
  }
  return 0;
}
