#include "tools/chain_diagnosis.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>

#include "damc/chains/stability.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/text.h"

namespace damc {
namespace {

/// Of numbers that so few steps or chains do not give there is no row.
std::string mixing_rows(const ChainDiagnosis& found) {
  const AutocorrelationTime time = found.mixing->time;
  const double draws = static_cast<double>((found.steps + 1) * found.chains) / time.steps;
  std::string rows;
  if (std::isfinite(time.steps))
    rows = fmt::format("  autocorrelation time  {}{:.4g} steps; {:.4g} independent draws{}\n",
                       time.resolved ? "" : "at least ", time.steps, draws, time.resolved ? "" : " at most");
  if (std::isfinite(found.mixing->rhat))
    rows += fmt::format("  R-hat                 {:.4g}\n", found.mixing->rhat);
  if (std::isfinite(found.mixing->drift))
    rows += fmt::format("  drift                 {:.3g} standard errors\n", found.mixing->drift);
  return rows;
}

/// The number under a name; null is NaN, which JSON has no other word for. Throws nlohmann's exceptions.
double number(const nlohmann::json& json, const char* name) {
  const nlohmann::json& value = json.at(name);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

}  // namespace

std::string table(const ChainDiagnosis& found) {
  std::string text = found.mixing ? mixing_rows(found) : "";
  text += fmt::format("  stability             {:.3g}, limit {}\n", found.stability, kLargestStability);
  if (found.mixing && found.mixing->rhat > kLargestRhat)
    text += fmt::format("alarm: R-hat above {}: {} chains of {} steps have not mixed; longer ones may\n",
                        kLargestRhat, found.chains, found.steps);
  if (found.stability > kLargestStability)
    text += fmt::format("alarm: stability above {}: steps of size {} are too long for this energy\n",
                        kLargestStability, found.step_size);
  return text;
}

void write_json(const std::filesystem::path& file, const ChainDiagnosis& found) {
  nlohmann::ordered_json json = {{"steps", found.steps},
                                 {"chains", found.chains},
                                 {"step_size", found.step_size},
                                 {"stability", found.stability}};
  if (const auto& mixing = found.mixing) {
    json["autocorrelation_time"] = mixing->time.steps;
    json["resolved"] = mixing->time.resolved;
    json["rhat"] = mixing->rhat;
    json["drift"] = mixing->drift;
  }
  const std::string text = json.dump(2) + "\n";
  atomic_write_file(file, std::as_bytes(std::span(text)));
}

std::optional<ChainDiagnosis> read_diagnosis(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) return {};
  try {
    const nlohmann::json json = nlohmann::json::parse(in);
    ChainDiagnosis found{json.at("steps").get<std::int64_t>(),
                         json.at("chains").get<std::int64_t>(),
                         number(json, "step_size"),
                         number(json, "stability"),
                         {}};
    if (json.contains("rhat")) {
      found.mixing = {{number(json, "autocorrelation_time"), json.at("resolved").get<bool>()},
                      number(json, "rhat"),
                      number(json, "drift")};
    }
    return found;
  } catch (const nlohmann::json::exception&) {
    user_error(fmt::format("'{}' is no diagnosis of chains", escaped(file.native())),
               "damc chain RUN writes it anew");
  }
}

}  // namespace damc
