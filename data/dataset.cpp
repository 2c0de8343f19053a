#include "data/dataset.h"

#include <algorithm>
#include <utility>

#include "data/cifar10.h"
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

Split load_svhn(const fs::path& dir) {
  Split split = read_svhn(dir);
  if (split.test.n > 0) return split;
  const std::int64_t n = split.train.n;
  Split divided = divide(std::move(split.train), n, dir);
  add_note(split, "test_32x32.mat is missing");
  add_note(split, divided.note);
  divided.note = split.note;
  return divided;
}

Split load_faces(const std::string& kind, const fs::path& dir) {
  const FolderOptions options = folder_options(kind);
  const std::int64_t size = options.size, n_train = kind == "celeba64" ? 40000 : 29500;
  if (!is_packed(dir)) {
    const ImageFiles files = list_images(dir);
    Split split = divide(read_images(files.paths, options), n_train, dir);
    if (!files.left_out.empty()) add_note(split, "left out: " + files.left_out);
    return split;
  }
  Images images = read_packed(dir);
  if (images.height != size || images.width != size || images.channels != options.channels) {
    user_error(fmt::format("'{}' holds packed images of {}x{}x{}; {} needs {}x{}x{}", dir.string(),
                           images.height, images.width, images.channels, kind, size, size, options.channels),
               "pack the original images again for this preset");
  }
  return divide(std::move(images), n_train, dir);
}

Split load(const std::string& kind, const fs::path& dir, int holdout) {
  require_folder(dir);
  if (holdout != -1 && kind != "mnist") {
    user_error(fmt::format("holdout is {}, but only mnist has digits to hold out, not {}", holdout, kind));
  }
  if (kind == "mnist") {
    Split official = read_mnist(dir);
    return holdout == -1 ? official : hold_out_digit(official, holdout);
  }
  if (kind == "cifar10") return read_cifar10(dir);
  if (kind == "svhn") return load_svhn(dir);
  if (kind == "celeba64" || kind == "celebahq") return load_faces(kind, dir);
  user_error(fmt::format("unknown kind of data set '{}'", kind),
             "known are mnist, cifar10, svhn, celeba64 and celebahq");
}

}  // namespace

FolderOptions folder_options(const std::string& kind) {
  if (kind == "celeba64") return {64, 3, Crop::aligned_face};
  if (kind == "celebahq") return {256, 3, Crop::largest_square};
  user_error(fmt::format("'{}' is not read from a folder of images", kind), "celeba64 and celebahq are");
}

Split load_dataset(const std::string& kind, const fs::path& dir, int holdout) {
  try {
    return load(kind, dir, holdout);
  } catch (const fs::filesystem_error& error) {
    user_error(fmt::format("cannot read '{}': {}", error.path1().string(), error.code().message()));
  }
}

}  // namespace damc
