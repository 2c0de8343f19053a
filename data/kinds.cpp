#include "data/kinds.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "tensor/error.h"

namespace damc {

namespace {

constexpr std::string_view kMnistMd5[] = {
    "6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624",
    "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"};
constexpr std::string_view kSvhnMd5[] = {"e26dedcc434d2e4c54c9b2d4a06d8373",
                                         "eb5a983be6a315427106f1b164d9cef3"};
constexpr std::string_view kCelebaFolders[] = {"img_align_celeba"};
constexpr std::string_view kCelebaHqFolders[] = {"CelebA-HQ-img"};  // of CelebAMask-HQ
constexpr std::string_view kFfhqFolders[] = {"images1024x1024", "thumbnails128x128"};

constexpr Fitting kFace{64, 3, Crop::aligned_face};
constexpr Fitting kScene{256, 3, Crop::upper_square, Filter::lanczos};

constexpr Kind kKinds[] = {
    {"mnist", "MNIST", Store::files, {28, 1}, 60000, 10000, kMnistFiles, 4, kMnistMd5},
    {"cifar10",
     "CIFAR-10",
     Store::files,
     {32, 3},
     50000,
     10000,
     kCifar10Files,
     6,
     {},
     107218153314082,
     21403655596116},
    {"svhn", "SVHN", Store::files, {32, 3}, 73257, 26032, kSvhnFiles, 1, kSvhnMd5},
    {"celeba64", "CelebA", Store::folder, kFace, 40000, 162599, kCelebaFolders, 1},
    {"celebahq", "CelebA-HQ", Store::folder, {256, 3}, 29500, 500, kCelebaHqFolders, 1},
    {"ffhq", "FFHQ", Store::folder, {256, 3}, 69500, 500, kFfhqFolders, 1},
    {"lsun", "LSUN", Store::databases, kScene, 0, 0, kLsunFiles, 1},
};

}  // namespace

std::span<const Kind> kinds() { return kKinds; }

const Kind& find_kind(std::string_view name) {
  const auto kind = std::ranges::find(kKinds, name, &Kind::name);
  if (kind != std::end(kKinds)) return *kind;
  std::vector<std::string_view> names;  // not a view: clang 14 does not compile the library's
  for (const Kind& known : kKinds) names.push_back(known.name);
  user_error(fmt::format("unknown kind of data set '{}'", name),
             fmt::format("known are {}", fmt::join(names, ", ")));
}

}  // namespace damc
