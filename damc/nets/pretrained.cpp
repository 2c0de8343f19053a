#include "damc/nets/pretrained.h"

#include "tensor/error.h"

namespace damc {
namespace {

[[noreturn]] void missing(const Pretrained& expected, const std::string& key) {
  user_error(fmt::format("the weights of {} have no tensor '{}'", expected.network, key), expected.hint);
}

bool holds_numbers(const Tensor& t) { return t.defined() && t.dtype() != Dtype::i64; }

}  // namespace

void check_pretrained(const Pretrained& expected, const StateDict& weights) {
  for (const auto& [key, shape] : expected.shapes) {
    const auto found = weights.find(key);
    if (found == weights.end() || !holds_numbers(found->second)) missing(expected, key);
    if (found->second.shape() == shape) continue;
    user_error(fmt::format("'{}' of {} has shape {}, expected {}", key, expected.network,
                           found->second.shape().str(), shape.str()),
               expected.hint);
  }
  for (const auto& [key, value] : weights) {
    if (expected.shapes.contains(key) || key.ends_with("num_batches_tracked") || expected.ignored(key))
      continue;
    user_error(fmt::format("'{}' is no tensor of {}", key, expected.network), expected.hint);
  }
}

const Tensor& telling(const Pretrained& expected, const StateDict& weights, const std::string& key,
                      int ndim) {
  const auto found = weights.find(key);
  if (found == weights.end() || !holds_numbers(found->second)) missing(expected, key);
  const Shape& shape = found->second.shape();
  if (shape.ndim() == ndim && shape.numel() > 0) return found->second;
  user_error(fmt::format("'{}' of {} has shape {}, expected {} dimensions", key, expected.network,
                         shape.str(), ndim),
             expected.hint);
}

std::int64_t count_keys(const StateDict& weights, const std::string& before, const std::string& after) {
  std::int64_t count = 0;
  while (weights.contains(fmt::format("{}{}{}", before, count, after))) ++count;
  return count;
}

}  // namespace damc
