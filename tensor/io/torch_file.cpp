#include "tensor/io/torch_file.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tensor/text.h"

namespace damc {
namespace {

using nlohmann::json;

bool is_scalar(const TorchValue& value) {
  return !value.as<StoredTensor>() && !value.as<TorchList>() && !value.as<TorchDict>() &&
         !value.as<TorchOther>();
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

/// None, a number, a text or a list of those.
json to_json(const TorchValue& value) {
  if (const auto* b = value.as<bool>()) return *b;
  if (const auto* i = value.as<std::int64_t>()) return *i;
  if (const auto* d = value.as<double>()) return *d;
  if (const auto* text = value.as<std::string>()) return *text;
  const auto* list = value.as<TorchList>();
  if (!list) return nullptr;
  json array = json::array();
  for (const TorchValue& item : *list) array.push_back(to_json(item));
  return array;
}

class Flattener {
 public:
  Flattener(const std::string& where, StoredWeights& out) : where_(where), out_(out) {}

  void add(const std::string& name, const TorchValue& value) {
    constexpr std::size_t most = std::size_t{256} << 20;
    names_ += name.size();
    if (names_ > most) user_error(fmt::format("{}: the names in it have more than {} bytes", where_, most));
    if (const auto* tensor = value.as<StoredTensor>()) {
      check_new(name, out_.tensors.emplace(name, *tensor).second);
    } else if (const auto* dict = value.as<TorchDict>()) {
      for (const TorchItem& item : *dict) add(join(name, item), item.value);
    } else if (const auto* list = value.as<TorchList>(); list && !std::ranges::all_of(*list, is_scalar)) {
      for (std::size_t i = 0; i < list->size(); ++i) add(join(name, std::to_string(i)), (*list)[i]);
    } else if (const std::string text = text_of(value); value.as<TorchOther>() || !is_utf8(text)) {
      out_.left_out.push_back(name);
    } else {
      check_new(name, out_.metadata.emplace(name, text).second);
    }
  }

 private:
  static std::string join(const std::string& name, const std::string& key) {
    return name.empty() ? key : name + "." + key;
  }
  static std::string join(const std::string& name, const TorchItem& item) {
    const auto* number = std::get_if<std::int64_t>(&item.key);
    return join(name, number ? std::to_string(*number) : std::get<std::string>(item.key));
  }
  void check_new(const std::string& name, bool is_new) const {
    if (!is_new) user_error(fmt::format("{}: two values are named {}", where_, in_quotes(name)));
  }

  const std::string& where_;
  StoredWeights& out_;
  std::size_t names_ = 0;
};

}  // namespace

const TorchValue* TorchValue::find(const std::string& key) const {
  const auto* dict = as<TorchDict>();
  if (!dict) return nullptr;
  const auto found = std::ranges::find_if(*dict, [&](const TorchItem& item) {
    const auto* text = std::get_if<std::string>(&item.key);
    return text && *text == key;
  });
  return found == dict->end() ? nullptr : &found->value;
}

StoredWeights flatten(const TorchValue& root, const std::string& where) {
  StoredWeights out{"PyTorch", {}, {}, {}};
  Flattener(where, out).add("", root);
  return out;
}

std::string text_of(const TorchValue& value) {
  if (const auto* text = value.as<std::string>()) return json::accept(*text) ? json(*text).dump() : *text;
  if (const auto* number = value.as<double>(); number && !std::isfinite(*number))
    return fmt::format("{}", *number);
  return to_json(value).dump(-1, ' ', false, json::error_handler_t::replace);
}

TorchValue value_of(const std::string& text) {
  const auto scalar = [](const json& value) -> TorchValue {
    if (value.is_boolean()) return {value.get<bool>()};
    if (value.is_number_float()) return {value.get<double>()};
    if (value.is_number()) return {value.get<std::int64_t>()};
    if (value.is_string()) return {value.get<std::string>()};
    return {};
  };
  if (!json::accept(text)) return {text};
  const json parsed = json::parse(text);
  if (!parsed.is_structured()) return scalar(parsed);
  const bool flat = parsed.is_array() &&
                    std::ranges::none_of(parsed, [](const json& item) { return item.is_structured(); });
  if (!flat) return {text};
  TorchList list;
  for (const json& item : parsed) list.push_back(scalar(item));
  return {std::move(list)};
}

}  // namespace damc
