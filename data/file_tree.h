/// The files below a folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <system_error>
#include <vector>

namespace damc {

/// What lies below a folder. Links are followed, and whatever several paths lead to is listed once.
struct FileTree {
  std::vector<std::filesystem::path> files;  ///< in byte order, so the same on every machine
  std::int64_t hidden = 0;  ///< files and folders whose names start with a dot: not looked into
  std::vector<std::filesystem::path> unusable;  ///< links that lead nowhere, devices and the like
  std::map<std::filesystem::path, std::error_code>
      unreadable;  ///< folders that cannot be looked into, and why
};

/// Looks into `root` and the folders up to `max_depth` levels below it.
FileTree list_files(const std::filesystem::path& root, int max_depth = std::numeric_limits<int>::max());

/// Throws as cannot_read does where a folder cannot be looked into.
void refuse_unreadable(const FileTree& tree);

/// A file name's ending with its dot, in lower case; empty if it has none.
std::string ending(const std::filesystem::path& path);

/// How many of which kind of file, the most frequent first, and what else is in `tree` beside its files, as one line:
/// "20 .webp, 1 .txt, 2 hidden, 2 broken links or special files ('a/b', ...)". Empty if there is nothing.
std::string summary(const std::vector<std::filesystem::path>& files, const FileTree& tree);

}  // namespace damc
