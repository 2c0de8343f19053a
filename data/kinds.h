/// The data sets that are read, as one table: what presets, layouts, `damc data info` and `verify` know of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "data/fitting.h"

namespace damc {

/// How a data set is released.
enum class Store {
  files,      ///< in a few files of its own format
  folder,     ///< as a folder of image files
  databases,  ///< in LMDB databases of image files
};

/// A data set, by the name that the presets use.
struct Kind {
  std::string_view name, title;
  Store store;
  Fitting fitting;                          ///< its images as they are learned from
  std::int64_t n_train, n_test;             ///< images of the division that is published; 0: as released
  std::span<const std::string_view> files;  ///< official names: of files, folders of image files or databases
  std::size_t needed;                       ///< how many of these make a complete set, from the first on
  std::span<const std::string_view> md5 = {};  ///< of the first files, unpacked; none where none is published
  std::uint64_t train_sum = 0, test_sum = 0;   ///< of the CRC-32 of every image (H,W,C); 0: not known
};

/// The four official names: training images, training labels, test images, test labels.
inline constexpr std::array<std::string_view, 4> kMnistFiles{
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
inline constexpr std::array<std::string_view, 6> kCifar10Files{"data_batch_1.bin", "data_batch_2.bin",
                                                               "data_batch_3.bin", "data_batch_4.bin",
                                                               "data_batch_5.bin", "test_batch.bin"};
inline constexpr std::array<std::string_view, 3> kSvhnFiles{"train_32x32.mat", "test_32x32.mat",
                                                            "extra_32x32.mat"};
/// What the names of LSUN's folders end with, behind the category.
inline constexpr std::array<std::string_view, 2> kLsunFiles{"train_lmdb", "val_lmdb"};

/// All of them, in the order in which messages name them.
std::span<const Kind> kinds();

/// The row of that name. Throws UserError when there is none.
const Kind& find_kind(std::string_view name);

}  // namespace damc
