/// Where the files of a data set lie in a folder, and what lies there instead.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace damc {

/// The files of a data set, by their official names.
struct Layout {
  std::string format;   ///< the name of a kind (see kinds.h), packed, or images for anything else
  std::string variant;  ///< what EMNIST's names start with, as emnist-digits, or LSUN's category; else empty
  std::filesystem::path home;  ///< the folder in which they are; the given one for images
  std::map<std::string, std::filesystem::path, std::less<>> files;  ///< none of a folder of image files
};

/// Throws UserError unless `dir` is a folder.
void require_folder(const std::filesystem::path& dir);

/// Looks for the files of a format (any if it is empty) in `dir` and up to three levels below it, by their names:
///
///   mnist    train-images-idx3-ubyte, train-labels-idx1-ubyte and t10k-..., also with a dot (train-images.idx3-ubyte)
///            or in a folder of its own name each; EMNIST's, whose names start with emnist-digits or the like
///   cifar10  data_batch_1.bin ... data_batch_5.bin, test_batch.bin
///   svhn     train_32x32.mat, test_32x32.mat, extra_32x32.mat
///   lsun     CATEGORY_train_lmdb/data.mdb, CATEGORY_val_lmdb/data.mdb, or a data.mdb in another folder
///   packed   images-idx4-ubyte, in `dir` itself
///
/// All but SVHN's and LSUN's may end with .gz. Complete sets go before incomplete ones, then the nearest to `dir`. Throws
/// UserError when `dir` is not a folder, or when several sets are as good.
/// If there are none, but one folder of image files that is called as in an official release (CelebA-HQ-img of
/// CelebAMask-HQ, images1024x1024 of FFHQ, img_align_celeba of CelebA), `dir` itself or below it, that is the set.
Layout find_layout(const std::filesystem::path& dir, std::string_view format = {});

/// "; not read: 'labels.npz', 'x.xz'": what else lies in the folder of an incomplete set, where people look for what is
/// missing. Empty where there is nothing.
std::string files_beside(const Layout& set);

/// Throws UserError if `dir`, in which nothing of `format` was found, is recognized as something else: the Python
/// version of CIFAR-10, archives, another data set. The message says what it is and what to do.
void explain_absence(const std::filesystem::path& dir, std::string_view format);

}  // namespace damc
