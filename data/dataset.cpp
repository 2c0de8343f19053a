#include "data/dataset.h"

#include <algorithm>
#include <utility>

#include "data/cifar10.h"
#include "data/image_folder.h"
#include "data/layout.h"
#include "data/mnist.h"
#include "data/packed.h"
#include "data/svhn.h"
#include "tensor/error.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

/// The first `n_train` images train and the others test; if there are no others, the last tenth tests.
Split divide(Images images, std::int64_t n_train, const fs::path& dir) {
  if (images.n < 2) {
    user_error(fmt::format("'{}' holds {} image(s): too few to train and test on", dir.string(), images.n));
  }
  Split split;
  if (images.n <= n_train) {
    n_train = images.n - std::max(std::int64_t{1}, images.n / 10);
    split.note = fmt::format("too few images for the official split: of {} the last {} test", images.n,
                             images.n - n_train);
  }
  split.test = split_off(images, n_train);
  split.train = std::move(images);
  return split;
}

void add_note(Split& split, const std::string& note) {
  split.note += (split.note.empty() ? "" : "; ") + note;
}

/// Divides what has training images only, as SVHN without its test file.
Split divide_training(Split split, const fs::path& dir) {
  Split divided = divide(std::move(split.train), split.train.n, dir);
  add_note(split, "test_32x32.mat is missing");
  add_note(split, divided.note);
  divided.note = split.note;
  return divided;
}

Split load_images(const Kind& kind, const fs::path& dir) {
  const Fitting& fitting = kind.fitting;
  if (!is_packed(dir)) {
    const ImageFiles files = list_images(dir);
    Split split = divide(read_images(files.paths, fitting), kind.n_train, dir);
    if (!files.left_out.empty()) add_note(split, "left out: " + files.left_out);
    return split;
  }
  Images images = read_packed(dir);
  if (images.height != fitting.size || images.width != fitting.size || images.channels != fitting.channels) {
    user_error(
        fmt::format("'{}' holds packed images of {}x{}x{}; {} needs {}x{}x{}", dir.string(), images.height,
                    images.width, images.channels, kind.name, fitting.size, fitting.size, fitting.channels),
        "pack the original images again for this preset");
  }
  return divide(std::move(images), kind.n_train, dir);
}

Split load(const std::string& name, const fs::path& dir, int holdout) {
  require_folder(dir);
  const Kind& kind = find_kind(name);
  if (holdout != -1 && kind.name != "mnist") {
    user_error(fmt::format("holdout is {}, but only mnist has digits to hold out, not {}", holdout, name));
  }
  if (kind.files.empty()) return load_images(kind, dir);
  Split official = read_official(kind, dir);
  if (official.test.n == 0) return divide_training(std::move(official), dir);
  return holdout == -1 ? std::move(official) : hold_out_digit(official, holdout);
}

}  // namespace

Split read_official(const Kind& kind, const fs::path& dir) {
  if (kind.name == "mnist") return read_mnist(dir);
  if (kind.name == "cifar10") return read_cifar10(dir);
  ENSURE(kind.name == "svhn", "there is no reader for {}", kind.name);
  return read_svhn(dir);
}

Split load_dataset(const std::string& kind, const fs::path& dir, int holdout) {
  try {
    return load(kind, dir, holdout);
  } catch (const fs::filesystem_error& error) {
    user_error(fmt::format("cannot read '{}': {}", error.path1().string(), error.code().message()));
  }
}

}  // namespace damc
