#include "damc/precision_errors.h"

#include "tensor/error.h"
#include "tools/bench/suites.h"

namespace damc {

void print_precision(const Config& config, std::int64_t batch) {
  std::vector<std::vector<PrecisionError>> columns;
  const std::vector<const char*> names = {"fp32", "tf32", "bf16"};
  for (const char* name : names) {
    Config c = config;
    c.precision = parse_precision(name);
    columns.push_back(precision_errors(c, batch ? batch : 4));
  }
  const auto row = [&](const std::string& what, double PrecisionError::*error, std::size_t part) {
    fmt::print("{:<28}", what);
    for (const auto& column : columns) fmt::print("{:>10.1e}", column[part].*error);
    fmt::print("\n");
  };
  fmt::print("\n{:<28}{:>10}{:>10}{:>10}\n", "error, " + config.preset, names[0], names[1], names[2]);
  for (std::size_t part = 0; part < columns[0].size(); ++part) {
    const std::string& what = columns[0][part].part;
    row(what, &PrecisionError::value, part);
    if (columns[0][part].gradients > 0.0) row(what + ", gradients", &PrecisionError::gradients, part);
  }
}

}  // namespace damc
