/// CIFAR-10, binary version: 50,000 training and 10,000 test images, 32x32x3, labels 0..9.
/// Each of its six files is a row of records: 1 label byte, then 3 planes (red, green, blue) of 32x32 bytes.
#pragma once

#include <filesystem>

#include "data/images.h"

namespace damc {

/// Reads data_batch_1.bin .. data_batch_5.bin and test_batch.bin (N,32,32,3), in this order, plain or gzipped, from
/// `dir` or a folder below it (see layout.h). Throws UserError when files are missing, cut or hold labels above 9.
Split read_cifar10(const std::filesystem::path& dir);

}  // namespace damc
