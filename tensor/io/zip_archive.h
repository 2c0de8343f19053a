/// Zip archives, which PyTorch's files and .npz are: reading through libzip, bounded; writing as a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/io/file.h"

struct zip;

namespace damc {

/// An archive open for reading.
class ZipArchive {
 public:
  /// Throws UserError when the file is missing, no zip archive, holds a name twice, or what no program should unpack:
  /// all entries together more than 64 times as long as the file and 64 MiB.
  explicit ZipArchive(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  /// Unpacked bytes of every entry, by its name.
  const std::map<std::string, std::int64_t>& sizes() const { return sizes_; }
  bool contains(const std::string& name) const { return sizes_.contains(name); }
  /// An entry's content, stored or deflated, its checksum verified. Throws UserError when there is none of that name
  /// or it is damaged, encrypted or longer than the archive says.
  std::vector<std::byte> read(const std::string& name) const;

 private:
  struct Close {
    void operator()(zip* archive) const;
  };
  [[noreturn]] void refuse(const std::string& reason) const;

  std::filesystem::path path_;
  std::unique_ptr<zip, Close> archive_;
  std::map<std::string, std::int64_t> sizes_;
};

/// Writes an archive front to back, without compression, so that it may go into a pipe (libzip seeks back and forth);
/// entries begin at multiples of 64 bytes, as PyTorch's do.
class ZipWriter {
 public:
  explicit ZipWriter(AtomicFile& file) : file_(file) {}

  /// Adds an entry. Throws Error as AtomicFile does.
  void add(const std::string& name, std::span<const std::byte> content);
  /// Adds the directory, after which the archive is complete.
  void finish();

 private:
  void write(const std::string& bytes);

  AtomicFile& file_;
  std::uint64_t position_ = 0, entries_ = 0;
  std::string directory_;
};

}  // namespace damc
