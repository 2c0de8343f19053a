#include "optim/stats.h"

#include <algorithm>

#include "tensor/error.h"

namespace damc {

void Stats::add(std::string name, double number) {
  add(std::move(name), Tensor::full({}, number, Dtype::f64));
}

bool Stats::contains(const std::string& name) const {
  return std::ranges::any_of(numbers_, [&](const auto& number) { return number.first == name; });
}

double Stats::operator[](const std::string& name) const {
  const auto found = std::ranges::find_if(numbers_, [&](const auto& number) { return number.first == name; });
  ENSURE(found != numbers_.end(), "an iteration has no number '{}'", name);
  return found->second.item();
}

std::vector<std::pair<std::string, double>> Stats::read() const {
  std::vector<std::pair<std::string, double>> values;
  for (const auto& [name, scalar] : numbers_) values.emplace_back(name, scalar.item());
  return values;
}

}  // namespace damc
