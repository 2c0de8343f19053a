/// The data sets by the names the presets use, divided into training and test images.
#pragma once

#include <filesystem>
#include <string>

#include "data/images.h"
#include "data/kinds.h"

namespace damc {

/// Loads the images of a kind from a folder:
///
///   kind      what `dir` holds                             images    training / test
///   mnist     the four IDX files, plain or .gz             28x28x1   official; see `holdout`
///   cifar10   cifar-10-batches-bin, or is it               32x32x3   official
///   svhn      train_32x32.mat, test_32x32.mat              32x32x3   official
///   celeba64  aligned faces: image files                   64x64x3   the first 40,000 / the others
///   celebahq  CelebAMask-HQ, or image files of faces       256x256x3 the first 29,500 / the others
///   ffhq      images1024x1024 with folders in it           256x256x3 the first 69,500 / the others
///   lsun      CATEGORY_train_lmdb, CATEGORY_val_lmdb       256x256x3 as they are
///
/// Every kind takes images of another source as well, at its own size: a folder of image files, LMDB databases of
/// them, or a packed folder. A release that is recognized (see layout.h) is divided and cropped as its own row says.
/// "First" is in byte order of the paths. A set that nobody has divided, that is too small for this, or an SVHN without
/// its test file: its last tenth, at least one image, tests and the rest trains; `Split::note` says so.
///
/// With `holdout` = 0..9 (mnist only) that digit is the anomaly, see `hold_out_digit`; -1 is the official
/// split. Throws UserError for an unknown kind, a missing folder, files that are missing or damaged, images
/// packed at another size, more images than this machine has memory for, a set of fewer than two, or a holdout for
/// another kind.
Split load_dataset(const std::string& kind, const std::filesystem::path& dir, int holdout = -1);

/// The files of a kind that has official ones, as its reader gives them: SVHN without its test file has no test
/// images. Throws Error for a kind that is a folder of images, UserError as the reader does.
Split read_official(const Kind& kind, const std::filesystem::path& dir);

}  // namespace damc
