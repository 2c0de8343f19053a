#include "data/dataset.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "data/cifar10.h"
#include "data/image_set.h"
#include "data/layout.h"
#include "data/mnist.h"
#include "data/packed.h"
#include "data/svhn.h"
#include "tensor/error.h"
#include "tensor/io/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

/// The first `n_train` images train and the others test; if there are no others, the last tenth tests.
Split divide(Images images, std::int64_t n_train, const fs::path& dir) {
  if (images.n < 2) {
    user_error(fmt::format("'{}' holds {} image(s): too few to train and test on", dir.string(), images.n));
  }
  Split split;
  if (n_train == 0 || images.n <= n_train) {
    const bool divided = n_train > 0;
    n_train = images.n - std::max(std::int64_t{1}, images.n / 10);
    split.note = fmt::format("{}: of {} the last {} test",
                             divided ? "too few images for the official split" : "not divided", images.n,
                             images.n - n_train);
  }
  split.test = split_off(images, n_train);
  split.train = std::move(images);
  return split;
}

void add_note(Split& split, const std::string& note) {
  split.note += (split.note.empty() || note.empty() ? "" : "; ") + note;
}

/// Divides what has training images only, as SVHN without its test file.
Split divide_training(Split split, const fs::path& dir) {
  const std::int64_t n = split.train.n;
  Split divided = divide(std::move(split.train), n, dir);
  add_note(split, "test_32x32.mat is missing");
  add_note(split, divided.note);
  divided.note = split.note;
  divided.source = split.source;
  return divided;
}

/// How many images of a kind train where a pack or a set does not say.
std::int64_t usual_n_train(const Kind& kind) { return kind.store == Store::folder ? kind.n_train : 0; }

Split load_packed(const Kind& kind, const fs::path& dir) {
  auto [images, origin] = read_packed(dir);
  const Fitting& fitting = kind.fitting;
  if (images.height != fitting.size || images.width != fitting.size || images.channels != fitting.channels) {
    user_error(
        fmt::format("'{}' holds packed images of {}x{}x{}; {} needs {}x{}x{}", dir.string(), images.height,
                    images.width, images.channels, kind.name, fitting.size, fitting.size, fitting.channels),
        "pack the original images again for this preset");
  }
  Split split = divide(std::move(images), origin.n_train > 0 ? origin.n_train : usual_n_train(kind), dir);
  split.source = origin.data.empty() ? "packed images" : origin.data + ", packed";
  return split;
}

/// Throws UserError unless the images of a set fit into the memory of this machine.
void check_memory(const ImageSet& set, const Fitting& fitting, const fs::path& dir) {
  const double needed =
      static_cast<double>(set.source->size() * fitting.size * fitting.size * fitting.channels);
  const double there =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (needed < 0.8 * there) return;
  user_error(
      fmt::format("the {} images in '{}' take {:.1f} GB at {}x{}x{}; this machine has {:.1f} GB of memory",
                  set.source->size(), dir.string(), needed / 1e9, fitting.size, fitting.size,
                  fitting.channels, there / 1e9),
      "pack them once with damc data pack and train on the pack, which needs no memory for them");
}

Split load_images(const Kind& kind, const fs::path& dir) {
  if (is_packed(dir)) return load_packed(kind, dir);
  const ImageSet set = find_images(dir);
  const Fitting fitting = set.fitted(kind.fitting);
  check_memory(set, fitting, dir);
  Split split =
      divide(read_images(*set.source, fitting), set.n_train > 0 ? set.n_train : usual_n_train(kind), dir);
  if (!set.left_out.empty()) add_note(split, "left out: " + set.left_out);
  split.source = set.title;
  return split;
}

Split load(const std::string& name, const fs::path& dir, int holdout) {
  require_folder(dir);
  const Kind& kind = find_kind(name);
  const bool has_files = kind.store == Store::files && !find_layout(dir, name).files.empty();
  if (holdout != -1 && kind.name != "mnist") {
    user_error(fmt::format("holdout is {}, but only mnist has digits to hold out, not {}", holdout, name));
  }
  if (kind.store != Store::files || (!has_files && (is_packed(dir) || holds_images(dir)))) {
    if (holdout != -1)
      user_error(fmt::format("holdout is {}, but '{}' holds images without labels", holdout, dir.string()));
    return load_images(kind, dir);
  }
  Split official = read_official(kind, dir);
  if (official.test.n == 0) return divide_training(std::move(official), dir);
  if (holdout == -1) return official;
  Split divided = hold_out_digit(official, holdout);
  divided.source = official.source;
  return divided;
}

}  // namespace

Split read_official(const Kind& kind, const fs::path& dir) {
  Split split = kind.name == "mnist"     ? read_mnist(dir)
                : kind.name == "cifar10" ? read_cifar10(dir)
                                         : read_svhn(dir);
  split.source = kind.title;
  return split;
}

Split load_dataset(const std::string& kind, const fs::path& dir, int holdout) {
  try {
    return load(kind, dir, holdout);
  } catch (const fs::filesystem_error& error) {
    cannot_read(fmt::format("cannot read '{}'", error.path1().string()), error.code().value());
  }
}

}  // namespace damc
