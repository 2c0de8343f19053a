/// MATLAB 5 files (.mat), as MATLAB's `save -v7` or `-v6` and SciPy's `savemat` write them: arrays of numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace damc {

/// A variable of a file: a real array of any numeric type, in column-major order.
struct MatArray {
  std::string name;
  std::vector<std::int64_t> sizes;  ///< fastest first
  std::string_view kind;            ///< MATLAB's name of its class: double, uint8, logical, ..
  int stored_as = 0;                ///< the format's number for the type of `data`
  std::vector<std::byte> data;

  /// How many elements it has.
  std::int64_t numel() const;
  /// All elements, converted; what does not fit a double exactly is rounded.
  std::vector<double> numbers() const;
};

/// Reads the variables called one of `names`; others are checked only. Throws UserError with `hint` when the file is
/// missing, of another kind (one of MATLAB 7.3 by name), damaged, cut off, or when one of these variables is no real
/// array of numbers.
std::vector<MatArray> read_mat5(const std::filesystem::path& path, const std::vector<std::string_view>& names,
                                const std::string& hint);

}  // namespace damc
