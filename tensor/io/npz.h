/// NumPy's .npz: named arrays in one file, a zip archive of .npy files, stored or deflated.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tensor/io/zip_archive.h"
#include "tensor/tensor.h"

namespace damc {

/// An .npz file open for reading; arrays are read one by one, since some files hold whole data sets beside what is
/// looked for.
class NpzFile {
 public:
  /// Throws UserError when the file is missing or no zip archive (see ZipArchive).
  explicit NpzFile(const std::filesystem::path& path) : archive_(path) {}

  /// Names as numpy gives them, in alphabetical order.
  std::vector<std::string> names() const;
  /// One array, as read_npy gives it. Throws UserError when there is none of that name, naming those that there are, or
  /// when it cannot be read.
  Tensor read(const std::string& name) const;

 private:
  ZipArchive archive_;
};

}  // namespace damc
