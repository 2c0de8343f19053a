#include "tools/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace damc {
namespace {

std::string text_of(const Metric& metric, const char* key) {
  const auto found = metric.details.find(key);
  return found != metric.details.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::string label_of(const Metric& metric) {
  const std::string of = text_of(metric, "of"), others = text_of(metric, "data");
  return metric.name + (of.empty() ? "" : " of " + of) + (others.empty() ? "" : " on " + others);
}

std::string origin_of(const Metric& metric) {
  const std::string of = text_of(metric, "of"), from = text_of(metric, "from"),
                    solver = text_of(metric, "solver");
  const auto number = [&](const char* key) {
    const auto found = metric.details.find(key);
    return found != metric.details.end() && found->is_number() ? found->get<double>() : 0.0;
  };
  const std::string start = text_of(metric, "start");
  if (!start.empty()) return fmt::format("{} in {} steps", start, number("steps"));
  if ((!of.empty() && of != "samples") || from.empty()) return "";
  if (solver.empty() || from != "damc") return from;
  const double eta = number("eta");
  return fmt::format("{}, {} in {} steps{}", from, solver, number("solver_steps"),
                     eta > 0.0 ? fmt::format(", eta {}", eta) : "");
}

std::string reference_of(const Metric& metric) {
  const std::string network = text_of(metric, "network_sha256"), reference = text_of(metric, "reference");
  if (network.empty()) return reference;
  return fmt::format("{}, network {:.8}, {}", text_of(metric, "mode"), network, reference);
}

bool ResultKey::holds(const Metric& metric) const {
  return label_of(metric) == label && (!origin || origin_of(metric) == *origin);
}

std::string ResultKey::text() const {
  return origin.value_or("").empty() ? label : fmt::format("{} from {}", label, *origin);
}

std::vector<ResultKey> result_keys(const std::vector<const std::vector<Metric>*>& runs) {
  std::vector<ResultKey> all;  // with their origins
  std::set<std::string> several;
  for (const std::vector<Metric>* run : runs) {
    std::map<std::string, std::string> origins;
    for (const Metric& metric : *run) {
      const ResultKey key{label_of(metric), origin_of(metric)};
      const auto [first, is_new] = origins.emplace(key.label, *key.origin);
      if (!is_new && first->second != *key.origin) several.insert(key.label);
      const auto same = [&](const ResultKey& k) { return k.label == key.label && k.origin == key.origin; };
      if (std::ranges::none_of(all, same)) all.push_back(key);
    }
  }
  std::vector<ResultKey> keys;
  std::set<std::string> done;
  for (const ResultKey& first : all) {
    if (!done.insert(first.label).second) continue;
    if (!several.contains(first.label)) keys.push_back({first.label});
    for (const ResultKey& key : all) {
      if (several.contains(first.label) && key.label == first.label) keys.push_back(key);
    }
  }
  return keys;
}

const Metric* newest_result(const std::vector<Metric>& metrics, const ResultKey& key) {
  const auto found =
      std::find_if(metrics.rbegin(), metrics.rend(), [&](const Metric& metric) { return key.holds(metric); });
  return found == metrics.rend() ? nullptr : &*found;
}

bool shapes_results(const ConfigKey& key) {
  const std::string group = key.group, name = key.name;
  return group != "output" && group != "divergence" && name != "device" && name != "data" &&
         name != "method" && name != "iterations";
}

Config usual_config(const Config& config) {
  ConfigBuilder builder(config.preset);
  builder.set("method", config.method);
  builder.set("holdout", std::to_string(config.holdout));
  return builder.finish();
}

}  // namespace damc
