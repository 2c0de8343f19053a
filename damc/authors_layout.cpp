#include "damc/authors_layout.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "damc/config.h"
#include "tensor/error.h"
#include "tensor/io/weights.h"
#include "tensor/text.h"

namespace damc {
namespace {

struct Network {
  const char* name;       ///< the authors', and the prefix here
  const char* optimizer;  ///< prefix of its Adam here; null: it has none
};
constexpr Network kNetworks[] = {{"G", "adam_g."}, {"Q", "adam_q."}, {"Q_dummy", nullptr}, {"E", "adam_e."}};
constexpr const char* kIterations = "iterations";
constexpr const char* kOurMetadata = "damc";
constexpr const char* kStep = "step";

std::string state_dict_key(const Network& network) { return std::string(network.name) + "_state_dict"; }
std::string optimizer_key(const Network& network) { return std::string(network.name) + "_optimizer"; }

const std::string& text_key(const TorchItem& item) {
  static const std::string none;
  const auto* text = std::get_if<std::string>(&item.key);
  return text ? *text : none;
}

/// A number or a tensor of one element.
std::optional<double> as_number(const TorchValue* value) {
  if (!value) return {};
  if (const auto* d = value->as<double>()) return *d;
  if (const auto* i = value->as<std::int64_t>()) return static_cast<double>(*i);
  const auto* stored = value->as<StoredTensor>();
  if (!stored || stored->numel() != 1) return {};
  const Tensor tensor = to_tensor(*stored);
  return tensor.defined() ? std::optional(tensor.item()) : std::nullopt;
}

/// The same as a count; none where it is none.
std::optional<std::int64_t> as_count(const TorchValue* value) {
  constexpr double most = 1e15;
  const auto number = as_number(value);
  return number && *number >= 0.0 && *number <= most ? std::optional(std::llround(*number)) : std::nullopt;
}

// --- from the authors' layout ---

class Importer {
 public:
  explicit Importer(std::string where) : where_(std::move(where)) {
    out_.format = "PyTorch, in the authors' layout";
  }

  StoredWeights take(const TorchValue& checkpoint) {
    for (const Network& network : kNetworks) {
      const TorchValue* weights = checkpoint.find(state_dict_key(network));
      if (!weights) continue;
      const std::vector<std::string> parameters = add_network(network, *weights);
      const TorchValue* optimizer = network.optimizer ? checkpoint.find(optimizer_key(network)) : nullptr;
      if (optimizer) add_optimizer(network, *optimizer, parameters);
    }
    if (const auto last = as_count(checkpoint.find("iter")))
      out_.metadata[kIterations] = std::to_string(*last + 1);
    add_rest(checkpoint);
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    user_error(where_ + ": " + reason,
               "was the checkpoint put together by hand? leave the optimisers out then");
  }

  /// Names of the parameters, in the order that the optimiser numbers them in.
  std::vector<std::string> add_network(const Network& network, const TorchValue& weights) {
    std::vector<std::string> parameters;
    const auto* items = weights.as<TorchDict>();
    if (!items) fail(state_dict_key(network) + " is no dictionary");
    for (const TorchItem& item : *items) {
      const std::string name = fmt::format("{}.{}", network.name, text_key(item));
      const auto* tensor = item.value.as<StoredTensor>();
      if (!tensor) {
        out_.left_out.push_back(name);
      } else if (!out_.tensors.emplace(name, *tensor).second) {
        fail(fmt::format("two tensors are named {}", in_quotes(name)));
      } else {
        parameters.push_back(text_key(item));
      }
    }
    return parameters;
  }

  void add_optimizer(const Network& network, const TorchValue& optimizer,
                     const std::vector<std::string>& parameters) {
    const std::string key = optimizer_key(network);
    const auto* states = optimizer.find("state") ? optimizer.find("state")->as<TorchDict>() : nullptr;
    const auto* groups =
        optimizer.find("param_groups") ? optimizer.find("param_groups")->as<TorchList>() : nullptr;
    if (!states || !groups || groups->size() != 1)
      fail(key + " is no state of Adam with one group of parameters");
    const TorchValue& group = groups->front();
    const auto* numbers = group.find("params") ? group.find("params")->as<TorchList>() : nullptr;
    if (!numbers || numbers->size() != parameters.size()) {
      fail(fmt::format("{} is of {} parameters, {} has {}", key, numbers ? numbers->size() : 0,
                       state_dict_key(network), parameters.size()));
    }
    std::int64_t steps = 0;
    for (const TorchItem& item : *states) {
      const auto* number = std::get_if<std::int64_t>(&item.key);
      if (!number || *number < 0 || static_cast<std::size_t>(*number) >= parameters.size())
        fail(fmt::format("{} has a state for no parameter", key));
      const std::string& parameter = parameters[static_cast<std::size_t>(*number)];
      add_moment(std::string(network.optimizer) + "m." + parameter, item.value.find("exp_avg"));
      add_moment(std::string(network.optimizer) + "v." + parameter, item.value.find("exp_avg_sq"));
      steps = std::max<std::int64_t>(steps, as_count(item.value.find("step")).value_or(0));
    }
    add_schedule(network, group, steps);
  }

  void add_moment(const std::string& name, const TorchValue* value) {
    const auto* tensor = value ? value->as<StoredTensor>() : nullptr;
    if (!tensor) fail(fmt::format("there is no {}", in_quotes(name)));
    out_.tensors.emplace(name, *tensor);
  }

  /// Learning rate and powers of the betas, and as text what of the group is not in them.
  void add_schedule(const Network& network, const TorchValue& group, std::int64_t steps) {
    const auto* betas = group.find("betas") ? group.find("betas")->as<TorchList>() : nullptr;
    const auto rate = as_number(group.find("lr"));
    if (!betas || betas->size() != 2 || !rate) fail(optimizer_key(network) + " has no lr or betas");
    std::vector<double> schedule{*rate};
    for (const TorchValue& beta : *betas)
      schedule.push_back(std::pow(as_number(&beta).value_or(0.0), static_cast<double>(steps)));
    out_.tensors.emplace(std::string(network.optimizer) + "schedule", stored(Tensor::from(schedule, {3})));
    const std::string prefix = optimizer_key(network) + ".";
    for (const TorchItem& item : *group.as<TorchDict>()) {
      if (text_key(item) != "params") out_.metadata[prefix + text_key(item)] = text_of(item.value);
    }
    out_.metadata[prefix + kStep] = std::to_string(steps);
  }

  /// Texts that this program has put there, as they are.
  void add_metadata(const TorchValue& ours) {
    const auto* items = ours.as<TorchDict>();
    if (!items) fail(fmt::format("{} is no dictionary", in_quotes(kOurMetadata)));
    for (const TorchItem& item : *items) {
      const auto* text = item.value.as<std::string>();
      if (text) out_.metadata.emplace(text_key(item), *text);
    }
  }

  /// Whatever else is there, under its own names.
  void add_rest(const TorchValue& checkpoint) {
    TorchDict rest;
    for (const TorchItem& item : *checkpoint.as<TorchDict>()) {
      const std::string& key = text_key(item);
      if (key == kOurMetadata) {
        add_metadata(item.value);
        continue;
      }
      const bool done =
          key == "iter" || std::ranges::any_of(kNetworks, [&](const Network& network) {
            return key == state_dict_key(network) || (network.optimizer && key == optimizer_key(network) &&
                                                      checkpoint.find(state_dict_key(network)));
          });
      if (!done) rest.push_back(item);
    }
    StoredWeights others = flatten({std::move(rest)}, where_);
    out_.tensors.merge(others.tensors);
    out_.metadata.merge(others.metadata);
    for (const auto& [name, tensor] : others.tensors)
      out_.left_out.push_back(name);  // of a name that is taken
    out_.left_out.insert(out_.left_out.end(), others.left_out.begin(), others.left_out.end());
  }

  std::string where_;
  StoredWeights out_;
};

// --- to the authors' layout ---

/// Where a part of a name comes among its siblings in a module of PyTorch: numbers in order, then the names of the
/// authors' modules in the order of their definition; what is not among them last.
std::size_t rank(std::string_view part) {
  constexpr std::string_view order[] = {"weight",      "bias",       "gen",       "ebm",        "net",
                                        "encoder",     "p",          "prior_emb", "time_mlp",   "in_layers",
                                        "mid_layers",  "out_layers", "_layer",    "_layer_ctx", "_hyper_bias",
                                        "_hyper_gate", "_skip"};
  constexpr std::size_t numbers = 1'000'000;
  std::size_t number = 0;
  if (std::from_chars(part.data(), part.data() + part.size(), number).ec == std::errc{})
    return std::min(number, numbers);
  return numbers + static_cast<std::size_t>(std::ranges::find(order, part) - std::begin(order));
}

/// Whether a parameter comes before another: a module's own come before those of the modules in it.
bool comes_before(std::string_view a, std::string_view b) {
  while (true) {
    const std::size_t end_a = a.find('.'), end_b = b.find('.');
    if ((end_a == a.npos) != (end_b == b.npos)) return end_a == a.npos;
    const std::string_view part_a = a.substr(0, end_a), part_b = b.substr(0, end_b);
    if (part_a != part_b) return std::pair(rank(part_a), part_a) < std::pair(rank(part_b), part_b);
    if (end_a == a.npos) return false;
    a.remove_prefix(end_a + 1);
    b.remove_prefix(end_b + 1);
  }
}

class Exporter {
 public:
  explicit Exporter(const StoredWeights& weights) : weights_(weights), left_(weights) {
    const auto text = weights.metadata.find("config");
    if (text != weights.metadata.end())
      config_ = ConfigBuilder::from_text(text->second, "its metadata").finish();
  }

  TorchValue make() {
    TorchDict root;
    for (const Network& network : kNetworks) {
      const std::vector<std::string> parameters = parameters_of(network);
      if (parameters.empty()) continue;
      TorchDict items;
      for (const std::string& name : parameters)
        items.push_back({name, {take(fmt::format("{}.{}", network.name, name))}});
      root.push_back({state_dict_key(network), {std::move(items)}});
      if (network.optimizer && weights_.tensors.contains(std::string(network.optimizer) + "schedule"))
        root.push_back({optimizer_key(network), optimizer(network, parameters)});
    }
    const TorchValue iterations = metadata(kIterations);
    if (const auto count = as_count(&iterations)) root.push_back({"iter", {*count - 1}});
    left_.metadata.erase(kIterations);
    left_.metadata.erase("crc32");  // of the file that this is no more
    TorchDict ours;
    for (const auto& [name, text] : left_.metadata) ours.push_back({name, {text}});
    if (!ours.empty()) root.push_back({kOurMetadata, {std::move(ours)}});
    return {std::move(root)};
  }

  /// Names of the tensors that have not been taken.
  std::vector<std::string> left_out() const {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : left_.tensors) names.push_back(name);
    return names;
  }

 private:
  std::vector<std::string> parameters_of(const Network& network) const {
    const std::string prefix = std::string(network.name) + ".";
    std::vector<std::string> names;
    for (const auto& [name, tensor] : weights_.tensors) {
      if (name.starts_with(prefix)) names.push_back(name.substr(prefix.size()));
    }
    std::ranges::sort(names, comes_before);
    return names;
  }

  StoredTensor take(const std::string& name) {
    left_.tensors.erase(name);
    return weights_.tensors.at(name);
  }

  /// None where there is none.
  TorchValue metadata(const std::string& name) const {
    const auto found = weights_.metadata.find(name);
    return found == weights_.metadata.end() ? TorchValue{} : value_of(found->second);
  }

  TorchValue optimizer(const Network& network, const std::vector<std::string>& parameters) {
    const std::string ours = network.optimizer;
    const Tensor schedule = to_tensor(take(ours + "schedule"));
    if (schedule.dtype() != Dtype::f64 || schedule.shape() != Shape{3})
      user_error(fmt::format("{}schedule is not what Adam's state is made of", ours));
    const std::vector<double> numbers_of = schedule.to_vector<double>();
    const StoredTensor step = stored(Tensor::full({}, steps_of(network, numbers_of[2])));
    TorchDict group = group_of(network, numbers_of[0]);
    TorchDict states;
    TorchList numbers;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      numbers.push_back({static_cast<std::int64_t>(i)});
      const std::string m = ours + "m." + parameters[i], v = ours + "v." + parameters[i];
      if (!weights_.tensors.contains(m) || !weights_.tensors.contains(v))
        continue;  // it never had a gradient
      states.push_back({static_cast<std::int64_t>(i),
                        {TorchDict{{"step", {step}}, {"exp_avg", {take(m)}}, {"exp_avg_sq", {take(v)}}}}});
    }
    group.push_back({"params", {std::move(numbers)}});
    return {TorchDict{{"state", {std::move(states)}}, {"param_groups", {TorchList{{std::move(group)}}}}}};
  }

  /// What the group was, or for a state of this program what Adam's constructor would have made.
  TorchDict group_of(const Network& network, double rate) {
    const std::string prefix = optimizer_key(network) + ".";
    TorchDict group;
    const auto first = left_.metadata.lower_bound(prefix);
    auto last = first;
    for (; last != left_.metadata.end() && last->first.starts_with(prefix); ++last) {
      const std::string key = last->first.substr(prefix.size());
      if (key != kStep) group.push_back({key, value_of(last->second)});
    }
    left_.metadata.erase(first, last);
    if (!group.empty()) return group;
    const bool decays = network.name == std::string_view("Q");
    return {{"lr", {rate}},
            {"betas", {TorchList{{config_.beta1}, {config_.beta2}}}},
            {"eps", {1e-8}},
            {"weight_decay", {decays ? config_.weight_decay : 0.0}},
            {"amsgrad", {false}}};
  }

  /// How many steps Adam has taken: noted, or by the power of the larger beta. After so many that it is 0 the number has
  /// no effect any more.
  double steps_of(const Network& network, double beta2_power) const {
    const TorchValue noted = metadata(optimizer_key(network) + "." + kStep);
    if (const auto steps = as_number(&noted)) return *steps;
    return beta2_power > 0.0 ? std::round(std::log(beta2_power) / std::log(config_.beta2)) : 1e6;
  }

  const StoredWeights& weights_;
  StoredWeights left_;  // what has not been taken yet
  Config config_;       // of the run that it is of, or the usual values
};

}  // namespace

StoredWeights from_authors(const TorchValue& checkpoint, const std::string& where) {
  return Importer(where).take(checkpoint);
}

bool has_our_names(const StoredWeights& weights) {
  return !weights.tensors.empty() && std::ranges::all_of(weights.tensors, [](const auto& item) {
    const std::string top = item.first.substr(0, item.first.find('.') + 1);
    return top == "noise." || std::ranges::any_of(kNetworks, [&](const Network& network) {
             return top == std::string(network.name) + "." || (network.optimizer && top == network.optimizer);
           });
  });
}

TorchValue to_authors(const StoredWeights& weights, std::vector<std::string>& left_out) {
  Exporter exporter(weights);
  TorchValue checkpoint = exporter.make();
  const std::vector<std::string> names = exporter.left_out();
  left_out.insert(left_out.end(), names.begin(), names.end());
  return checkpoint;
}

StoredWeights open_checkpoint(const std::filesystem::path& path) {
  if (!is_torch_file(path)) return open_weights(path);
  const TorchValue root = read_torch_file(path);
  const bool authors = std::ranges::any_of(
      kNetworks, [&](const Network& network) { return root.find(state_dict_key(network)) != nullptr; });
  const std::string where = fmt::format("'{}'", path.string());
  return authors ? from_authors(root, where) : flatten(root, where);
}

}  // namespace damc
