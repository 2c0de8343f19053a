/// SVHN, cropped digits: 73,257 training and 26,032 test images of house numbers, 32x32x3, labels 0..9.
/// A MATLAB 5 file per part: X, 32x32x3xN bytes in column-major order, and y, N labels 1..10 (10 is digit 0).
#pragma once

#include <filesystem>

#include "data/images.h"

namespace damc {

/// Reads one .mat file (N,32,32,3). Labels are empty when the file has no y or only zeros in it.
/// Throws UserError when the file is missing, is not a MATLAB 5 file, is damaged or has other shapes.
Images read_svhn_file(const std::filesystem::path& path);

/// Reads train_32x32.mat and test_32x32.mat from `dir` or a folder below it (see layout.h); extra_32x32.mat is read
/// only where there is no train_32x32.mat. Throws UserError as `read_svhn_file`, or when neither is there; without the
/// test file the test part stays empty.
Split read_svhn(const std::filesystem::path& dir);

}  // namespace damc
