/// What a data folder holds, and whether it is complete and undamaged: `damc data info` and `damc data
/// verify`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace damc {

/// One part (training, test, all) of a data set.
struct PartDescription {
  std::string name;
  std::int64_t n = 0;
  std::string shape;                       ///< height x width x channels; for a folder the range of sizes
  std::vector<std::int64_t> label_counts;  ///< images per label; empty when labels are unknown
  std::vector<double> channel_means;       ///< per channel, pixels in [0, 1]; empty when there are no images
  std::int64_t n_in_means = 0;  ///< images the means are over: n, or the first 2,000 of a folder or pack
};

struct Description {
  std::string format;  ///< of a Layout: the name of a kind, packed or images
  std::vector<PartDescription> parts;
  std::string note;  ///< what is left out or not as in the official set; often empty
};

/// Reads the data set in `dir` and sums it up. Throws UserError as its reader does.
Description describe(const std::filesystem::path& dir);

/// A description as lines of text for the terminal, each ended by a newline.
std::string to_text(const Description& description);

/// One thing `verify` looked at.
struct Check {
  bool ok;
  std::string subject;    ///< a file, a part or the whole set
  std::string finding;    ///< what was found, and what was expected if that is something else
  std::string hint = {};  ///< what to do about it, if it failed and that is known
};

/// Reads everything in `dir` and compares it with the official release: the numbers of images and labels, and the MD5
/// of the files of MNIST and SVHN; every image of a folder or database is decoded and only the failures are listed,
/// after their count. What is wrong with files is a Check with
/// ok == false. Throws UserError when `dir` is not a folder, or holds nothing that is a data set.
std::vector<Check> verify(const std::filesystem::path& dir);

}  // namespace damc
