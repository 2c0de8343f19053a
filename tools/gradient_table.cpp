#include "tools/gradient_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "autograd/checks/op_cases.h"
#include "autograd/gradcheck.h"

namespace damc {
namespace {

using Clock = std::chrono::steady_clock;

/// The largest error that rounding to f32 explains, in the L2 norm of a value or a gradient.
constexpr double kSingle = 1e-5;

/// The rows of one operation or layer and what was found.
struct Line {
  std::string op;
  std::vector<OpCase> rows = {};
  double worst = 0.0, second = 0.0, single = 0.0;
  std::string where = {};
  std::vector<std::string> failures = {};
};

/// Rows of one operation together, in the order of the first of each.
std::vector<Line> by_operation(const std::vector<OpCase>& rows) {
  std::vector<Line> lines;
  for (const OpCase& row : rows) {
    auto line = std::ranges::find(lines, row.op, &Line::op);
    if (line == lines.end()) line = lines.insert(lines.end(), Line{.op = row.op});
    line->rows.push_back(row);
  }
  return lines;
}

/// The largest error of the value and the gradients in f32.
double single_error(const OpCase& row, Device device) {
  const OpResult got = evaluate(row, make_inputs(row, Dtype::f32, device)),
                 wanted = evaluate(row, make_inputs(row, Dtype::f64));
  double worst = relative_error(got.value, wanted.value);
  for (std::size_t k = 0; k < wanted.gradients.size(); ++k) {
    const double error = relative_error(got.gradients[k], wanted.gradients[k]);
    if (!(error <= worst)) worst = error;  // no number is worst of all
  }
  return worst;
}

void check(Line& line, Device device) {
  for (const OpCase& row : line.rows) {
    const GradcheckResult result = gradcheck(row.f, make_inputs(row, Dtype::f64, device));
    if (line.where.empty() || !(result.worst <= line.worst)) {
      line.worst = result.worst;
      line.where = fmt::format("{}{}input {}, {}", row.variant, row.variant.empty() ? "" : ": ", result.input,
                               result.place);
    }
    if (!result.ok) line.failures.push_back(row.name() + ": " + result.message);
    const GradcheckResult again = gradgradcheck(row.f, make_inputs(row, Dtype::f64, device));
    if (!(again.worst <= line.second)) line.second = again.worst;
    if (!again.ok) line.failures.push_back(row.name() + ", second derivative: " + again.message);
    const double single = single_error(row, device);
    if (!(single <= line.single)) line.single = single;
    if (!(single <= kSingle))
      line.failures.push_back(
          fmt::format("{}: in f32 a value or gradient is off by {:.1e}", row.name(), single));
  }
}

}  // namespace

std::size_t check_gradients(const std::vector<OpCase>& rows, Device device,
                            const std::function<void(const std::string&)>& show) {
  const Clock::time_point start = Clock::now();
  std::size_t failed = 0;
  std::vector<Line> lines = by_operation(rows);
  show(fmt::format("{:<17} {:>5} {:>8} {:>8} {:>8} {:8}{}", "", "cases", "first", "second", "f32", "",
                   "largest error of the first derivatives"));
  for (Line& line : lines) {
    check(line, device);
    failed += line.failures.empty() ? 0 : 1;
    show(fmt::format("{:<17} {:>5} {:>8.1e} {:>8.1e} {:>8.1e} {:<8}{}", line.op, line.rows.size(), line.worst,
                     line.second, line.single, line.failures.empty() ? "passed" : "FAILED", line.where));
    for (const std::string& failure : line.failures) show("    " + failure);
  }
  show(fmt::format("{} operations and layers, {} cases on {} in {:.1f} s: {}", lines.size(), rows.size(),
                   device.str(), std::chrono::duration<double>(Clock::now() - start).count(),
                   failed == 0 ? "all passed" : fmt::format("{} FAILED", failed)));
  return failed;
}

}  // namespace damc
