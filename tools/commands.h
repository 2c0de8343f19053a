/// The subcommands of `damc`. Each adds itself, its options and its help to the program; its callback does
/// the work. Errors are exceptions: UserError exits with 2, anything else with 1 (see main.cpp).
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace damc {

/// Thrown to end the program with a given exit code and no message, for example after a signal.
struct Exit {
  int code;
};
/// Does so where the code is not 0.
inline void end_with(int code) {
  if (code) throw Exit{code};
}

/// `arguments` are those of the program; what starts other processes passes them on.
void add_train_command(CLI::App& program, const std::vector<std::string>& arguments);
void add_sample_command(CLI::App& program);
void add_reconstruct_command(CLI::App& program);
void add_invert_command(CLI::App& program);
void add_eval_command(CLI::App& program);
void add_chain_command(CLI::App& program);
void add_report_command(CLI::App& program);
void add_compare_command(CLI::App& program);
void add_table_command(CLI::App& program);
void add_movie_command(CLI::App& program);
void add_toy_command(CLI::App& program);
void add_apply_command(CLI::App& program);
void add_data_command(CLI::App& program);
void add_convert_command(CLI::App& program);
void add_info_command(CLI::App& program);
void add_gradcheck_command(CLI::App& program);
void add_bench_command(CLI::App& program);

}  // namespace damc
