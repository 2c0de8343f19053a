/// MNIST: 60,000 training and 10,000 test images of handwritten digits, 28x28x1, labels 0..9.
/// Fashion-MNIST and other sets in the same four files are read just as well.
#pragma once

#include <filesystem>

#include "data/images.h"

namespace damc {

/// Reads the official training and test sets (N,28,28,1) from the folder, or one below it, that holds all four files
/// (see layout.h). EMNIST's images are set upright. Throws UserError when files are missing, damaged or disagree with
/// each other.
Split read_mnist(const std::filesystem::path& dir);

/// Divides MNIST for anomaly detection: digit `digit` is never trained on and is what has to be found.
/// Of the other digits' images, from both official sets, 80 % train; the rest and all images of `digit` test,
/// marked in `test_is_anomaly`. The division and every order in it are those of the published results.
/// Throws UserError unless `digit` is in 0..9, Error when labels are missing.
Split hold_out_digit(const Split& official, int digit);

}  // namespace damc
