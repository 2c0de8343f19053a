#include "data/kinds.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <ranges>

#include "tensor/error.h"

namespace damc {

namespace {

constexpr Fitting kFace{64, 3, Crop::aligned_face};

constexpr Kind kKinds[] = {
    {"mnist", "MNIST", {28, 1}, 60000, 10000, kMnistFiles, 4},
    {"cifar10", "CIFAR-10", {32, 3}, 50000, 10000, kCifar10Files, 6},
    {"svhn", "SVHN", {32, 3}, 73257, 26032, kSvhnFiles, 1},
    {"celeba64", "CelebA", kFace, 40000, 0, {}, 0},
    {"celebahq", "CelebA-HQ", {256, 3}, 29500, 0, {}, 0},
};

}  // namespace

std::span<const Kind> kinds() { return kKinds; }

const Kind& find_kind(std::string_view name) {
  const auto kind = std::ranges::find(kKinds, name, &Kind::name);
  if (kind != std::end(kKinds)) return *kind;
  const auto names = kinds() | std::views::transform(&Kind::name);
  user_error(fmt::format("unknown kind of data set '{}'", name),
             fmt::format("known are {}", fmt::join(names, ", ")));
}

}  // namespace damc
