/// Weights that are pinned over many products (PinnedWeights): chains that pin them, and captured steps, which may not
/// read what was prepared outside of them.
#include <doctest/doctest.h>

#include <optional>

#include "damc/chains/langevin.h"
#include "damc/model.h"
#include "tensor/ops.h"
#include "tensor/record.h"
#include "tests/rehearsal_backend.h"
#include "tests/tiny_training.h"

using namespace damc;

namespace {

constexpr Device gpu = RehearsalDevice::device;

}  // namespace

TEST_CASE("a chain in one call or in steps of one, its weights pinned over all of them or not") {
  Generator random(1);
  Init init(random);
  const EnergyNet E(6, 8, init);
  const Tensor start = random.normal({3, 6});
  Generator at_once(4);
  const Tensor whole = langevin(EnergyPrior({&E}), start, {6, 0.4}, &at_once);
  for (const bool pin : {false, true}) {
    Generator singly(4);
    const PinnedWeights pinned(pin ? weights_of(E) : Tensors{});
    Tensor z = start;
    for (int step = 0; step < 6; ++step) z = langevin(EnergyPrior({&E}), z, {1, 0.4}, &singly);
    CHECK(same(z, whole));
  }
}

TEST_CASE("a captured step outlives pins of its weights, and what was prepared under them") {
  const RehearsalDevice device;
  const auto results = [](Device where) {
    Generator random(5, 0, where);
    const Tensor x = random.normal({2, 5, 5, 3}).to(Dtype::bf16), filter = random.normal({4, 3, 3, 3});
    const auto convolve = [&](const Tensor& image) { return conv2d(image, filter, {}, {1, 1}); };
    Captured step("convolutions", {"x"}, where, [&](const Tensors& in) {
      const Tensor unpinned = convolve(in[0]);
      const PinnedWeights pinned({filter});
      return Tensors{unpinned, convolve(in[0]), convolve(in[0])};
    });
    std::vector<double> found;
    std::optional<PinnedWeights> pinned(std::in_place, Tensors{filter});
    convolve(x);
    for (int k = 0; k < 6; ++k) {
      for (const Tensor& y : step({x})) {
        for (const double value : y.to_vector<double>()) found.push_back(value);
      }
      if (k == 3) pinned.reset();  // from here on the filter changes at every call
      if (k >= 3) filter.copy_from(random.normal({4, 3, 3, 3}));
    }
    return found;
  };
  CHECK(results(gpu) == results(Device{}));
  CHECK(device->replays() == 4);
}

TEST_CASE("a long chain: one step is recorded, and the weights are pinned over all of them") {
  const RehearsalDevice device;
  const auto follow = [](const std::string& where) {
    const Model model(tiny("mnist-quick", where));
    Generator random(4, 0, model.device);
    const PinnedWeights pinned(model.prior->weights());
    Captured step("chain step", {"z"}, model.device, [&](const Tensors& in) {
      const Tensor z = langevin(*model.prior, in[0], {1, 0.4}, &random);
      return Tensors{z, model.E->forward(z).value()};
    });
    Tensor z = random.normal({3, model.config.nz});
    std::vector<double> values;
    for (int k = 0; k < 6; ++k) {
      const Tensors after = step({z});
      for (const Tensor& t : after) {
        for (const double value : t.to_vector<double>()) values.push_back(value);
      }
      z = after[0];
    }
    return values;
  };
  CHECK(follow("cuda:0") == follow("cpu"));
  CHECK(device->replays() == 4);
}
