/// Checkpoints in the layout of the paper's authors: one that PyTorch has written (tests/golden/make_files.py) by this
/// program's names, and back.
#include "damc/authors_layout.h"

#include <cmath>

#include "tensor/io/weights.h"
#include "tests/tensor_files.h"

using namespace damc;

namespace {

const fs::path kFile = fs::path(DAMC_SOURCE_DIR) / "tests/golden/files/authors.pth.tar";

/// The keys of a dictionary in their order.
std::vector<std::string> keys(const TorchValue* value) {
  std::vector<std::string> names;
  if (!value) return names;
  for (const TorchItem& item : *value->as<TorchDict>()) {
    const auto* number = std::get_if<std::int64_t>(&item.key);
    names.push_back(number ? std::to_string(*number) : std::get<std::string>(item.key));
  }
  return names;
}

TorchItem network(const std::string& key, const std::vector<std::string>& parameters) {
  TorchDict items;
  for (const std::string& name : parameters) items.push_back({name, {stored(Tensor::full({2}, 0.5))}});
  return {key, {std::move(items)}};
}

}  // namespace

TEST_CASE("authors: networks and optimisers by this program's names") {
  const StoredWeights file = open_checkpoint(kFile);
  CHECK(file.left_out.empty());
  CHECK(file.metadata.at("iterations") == "2");
  CHECK(file.metadata.at("Q_optimizer.weight_decay") == "0.0001");
  CHECK(file.metadata.at("Q_optimizer.step") == "2");
  CHECK(has_our_names(file) == true);
  const StoredWeights plain = flatten(read_torch_file(kFile), "");
  const auto same = [&](const std::string& ours, const std::string& theirs) {
    CAPTURE(ours);
    CHECK(file.tensors.at(ours).read() == plain.tensors.at(theirs).read());
  };
  same("G.gen.0.weight", "G_state_dict.gen.0.weight");
  same("Q_dummy.encoder.net.1.bias", "Q_dummy_state_dict.encoder.net.1.bias");
  // The optimiser numbers parameters as PyTorch does, a module's own first: 0 is xemb, which has no state.
  same("adam_q.m.encoder.net.0.weight", "Q_optimizer.state.1.exp_avg");
  same("adam_g.v.gen.2.bias", "G_optimizer.state.3.exp_avg_sq");
  CHECK_FALSE(file.tensors.contains("adam_q.m.xemb"));
  const auto schedule = to_tensor(file.tensors.at("adam_q.schedule")).to_vector<double>();
  CHECK(schedule == std::vector{1.98e-4, std::pow(0.5, 2.0), std::pow(0.999, 2.0)});
}

TEST_CASE("authors: back in their layout it is what it was, in its order") {
  const TorchValue original = read_torch_file(kFile);
  std::vector<std::string> left_out;
  const TorchValue back = to_authors(from_authors(original, "a file"), left_out);
  CHECK(left_out.empty());
  CHECK(keys(&back) == keys(&original));
  for (const char* name : {"G_state_dict", "Q_state_dict", "Q_dummy_state_dict", "E_state_dict"}) {
    CHECK(keys(original.find(name)).size() > 5);
    CHECK(keys(back.find(name)) == keys(original.find(name)));
  }
  const StoredWeights before = flatten(original, ""), after = flatten(back, "");
  CHECK(before.metadata == after.metadata);
  REQUIRE(before.tensors.size() == after.tensors.size());
  for (const auto& item : before.tensors) {
    CAPTURE(item.first);
    REQUIRE(after.tensors.contains(item.first));
    CHECK(after.tensors.at(item.first).read() == item.second.read());
    CHECK(after.tensors.at(item.first).shape == item.second.shape);
  }
}

TEST_CASE("authors: by way of a file of safetensors nothing is lost") {
  const TempFile file;
  write_safetensors_stream(file.path(), open_checkpoint(kFile));
  std::vector<std::string> left_out;
  const StoredWeights before = flatten(read_torch_file(kFile), "");
  const StoredWeights after = flatten(to_authors(open_checkpoint(file.path()), left_out), "");
  CHECK(left_out.empty());
  CHECK(before.metadata == after.metadata);
  CHECK(before.tensors.size() == after.tensors.size());
  for (const auto& item : before.tensors) CHECK(after.tensors.at(item.first).read() == item.second.read());
}

TEST_CASE("authors: a state of this program") {
  StoredWeights state{
      "safetensors", {}, {{"iterations", "700"}, {"note", "a text"}, {"damc_format", "1"}}, {}};
  const StoredTensor numbers = stored(Tensor::full({2}, 0.25));
  for (const char* name :
       {"G.gen.0.weight", "G.gen.0.bias", "G.gen.10.weight", "G.gen.2.weight", "adam_g.m.gen.0.weight",
        "adam_g.v.gen.0.weight", "noise.position", "adam_g.m.gone"})
    state.tensors[name] = numbers;
  const std::vector<double> schedule = {3e-4, 0.0, std::pow(0.999, 700)};
  state.tensors["adam_g.schedule"] = stored(Tensor::from(schedule, {3}));
  CHECK(has_our_names(state));
  std::vector<std::string> left_out;
  const TorchValue checkpoint = to_authors(state, left_out);
  CHECK(left_out == std::vector<std::string>{"adam_g.m.gone", "noise.position"});
  CHECK(keys(checkpoint.find("G_state_dict")) ==
        std::vector<std::string>{"gen.0.weight", "gen.0.bias", "gen.2.weight", "gen.10.weight"});
  const StoredWeights flat = flatten(checkpoint, "");
  CHECK(flat.metadata.at("iter") == "699");
  CHECK(flat.metadata.at("damc.note") == "a text");
  CHECK(flat.metadata.at("G_optimizer.param_groups.0.lr") == "0.0003");
  CHECK(flat.metadata.at("G_optimizer.param_groups.0.betas") == "[0.5,0.999]");
  CHECK(flat.metadata.at("G_optimizer.param_groups.0.weight_decay") == "0.0");
  CHECK(flat.metadata.at("G_optimizer.param_groups.0.params") == "[0,1,2,3]");
  CHECK(to_tensor(flat.tensors.at("G_optimizer.state.0.step")).item() == 700.0);
  CHECK_FALSE(flat.tensors.contains("G_optimizer.state.1.step"));
  const StoredWeights back = from_authors(checkpoint, "a file");
  CHECK(back.metadata.at("note") == "a text");
  CHECK(back.metadata.at("damc_format") == "1");
  CHECK(back.metadata.at("iterations") == "700");
}

TEST_CASE("authors: checkpoints that do not fit together") {
  const TempFile file;
  const auto refused = [&](TorchDict root, const std::string& reason) {
    CAPTURE(reason);
    write_torch_file(file.path(), {std::move(root)});
    const std::string message = refusal(file, [](const fs::path& path) { open_checkpoint(path); });
    CAPTURE(message);
    CHECK(message.find(reason) != std::string::npos);
  };
  const TorchItem net = network("E_state_dict", {"a", "b"});
  const auto optimizer = [](TorchDict states, TorchList numbers, TorchDict more) {
    more.push_back({"params", {std::move(numbers)}});
    return TorchItem{
        "E_optimizer",
        {TorchDict{{"state", {std::move(states)}}, {"param_groups", {TorchList{{std::move(more)}}}}}}};
  };
  const TorchValue zero{std::int64_t{0}}, one{std::int64_t{1}};
  refused({{"E_state_dict", {std::int64_t{1}}}}, "E_state_dict is no dictionary");
  refused({net, {"E_optimizer", {TorchDict{}}}}, "no state of Adam");
  refused({net, optimizer({}, {zero}, {})}, "E_optimizer is of 1 parameters, E_state_dict has 2");
  refused({net, optimizer({{std::int64_t{2}, {TorchDict{}}}}, {zero, one}, {})}, "a state for no parameter");
  refused({net, optimizer({{std::int64_t{1}, {TorchDict{}}}}, {zero, one}, {})},
          R"(there is no "adam_e.m.b")");
  refused({net, optimizer({}, {zero, one}, {})}, "E_optimizer has no lr or betas");
  // Numbers of any size are no harm.
  write_torch_file(file.path(), {TorchDict{net, {"iter", {1e300}}}});
  CHECK_FALSE(open_checkpoint(file.path()).metadata.contains("iterations"));
}
