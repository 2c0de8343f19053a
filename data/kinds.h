/// The data sets that are read, as one table: what presets, layouts, `damc data info` and `verify` know of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "data/fitting.h"

namespace damc {

/// A data set, by the name that the presets use.
struct Kind {
  std::string_view name, title;
  Fitting fitting;                          ///< its images as they are learned from
  std::int64_t n_train;                     ///< training images of the official division
  std::int64_t n_test;                      ///< test images; 0: all others
  std::span<const std::string_view> files;  ///< the official names; none of a folder of image files
  std::size_t needed;                       ///< how many of them make a complete set, from the first on
};

/// The four official names: training images, training labels, test images, test labels.
inline constexpr std::array<std::string_view, 4> kMnistFiles{
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
inline constexpr std::array<std::string_view, 6> kCifar10Files{"data_batch_1.bin", "data_batch_2.bin",
                                                               "data_batch_3.bin", "data_batch_4.bin",
                                                               "data_batch_5.bin", "test_batch.bin"};
inline constexpr std::array<std::string_view, 3> kSvhnFiles{"train_32x32.mat", "test_32x32.mat",
                                                            "extra_32x32.mat"};

/// All of them, in the order in which messages name them.
std::span<const Kind> kinds();

/// The row of that name. Throws UserError when there is none.
const Kind& find_kind(std::string_view name);

}  // namespace damc
