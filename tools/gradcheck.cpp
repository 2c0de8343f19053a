/// `damc gradcheck`: the gradients of every differentiable operation and layer against finite differences.

#include <algorithm>
#include <cstdio>

#include "autograd/checks/op_cases.h"
#include "nn/layer_cases.h"
#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/text.h"
#include "tools/commands.h"
#include "tools/gradient_table.h"
#include "tools/screen.h"

namespace damc {
namespace {

/// The rows of the operations and layers of these names; all when there are none. Throws UserError for a name that
/// nothing has.
std::vector<OpCase> chosen_rows(const std::vector<std::string>& names) {
  std::vector<OpCase> all = op_cases(), chosen;
  for (OpCase& row : layer_cases()) all.push_back(std::move(row));
  if (names.empty()) return all;
  for (const std::string& name : names) {
    if (std::ranges::find(all, name, &OpCase::op) != all.end()) continue;
    std::vector<std::string> there;
    for (const OpCase& row : all) there.push_back(row.op);
    user_error(fmt::format("gradcheck: no operation or layer '{}'", name),
               did_you_mean(name, there) + "without a name all are checked, and so listed");
  }
  std::ranges::copy_if(all, std::back_inserter(chosen),
                       [&](const OpCase& row) { return std::ranges::find(names, row.op) != names.end(); });
  return chosen;
}

void run_gradcheck(const std::vector<std::string>& names, const std::string& device_name) {
  const Device device = parse_device(device_name);
  const std::vector<OpCase> rows = chosen_rows(names);
  backend(device);  // one that is not there is an error before the table begins
  const std::size_t failed = check_gradients(rows, device, [](const std::string& line) {
    fmt::print("{}\n", line);
    flush_output();
  });
  if (failed > 0) throw Exit{1};
}

}  // namespace

void add_gradcheck_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "gradcheck", "Check the gradients of every operation and layer against finite differences");
  auto names = std::make_shared<std::vector<std::string>>();
  auto device = std::make_shared<std::string>("cpu");
  command->add_option("op", *names, "operations and layers to check (default: all)")->type_name("OP");
  command->add_option("--device", *device, "cpu, cuda or cuda:N")->type_name("D")->capture_default_str();
  command->callback([names, device] { run_gradcheck(*names, *device); });
}

}  // namespace damc
