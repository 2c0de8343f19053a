/// Image files that are read one by one, wherever they lie: in a folder or in a database.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/codec.h"
#include "data/fitting.h"
#include "data/images.h"
#include "data/lmdb.h"

namespace damc {

/// Encoded images in a fixed order. May be used by several threads at once.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  virtual std::int64_t size() const = 0;
  /// What messages call image `i`.
  virtual std::string name(std::int64_t i) const = 0;
  /// Its bytes, as they are stored. Throws UserError when they cannot be read.
  virtual std::vector<std::byte> encoded(std::int64_t i) const = 0;

  /// What the beginning of the file says of its pixels, see `read_header`.
  virtual ImageHeader header(std::int64_t i) const = 0;

  /// Decodes it, see `decode_image`.
  Images decode(std::int64_t i, std::int64_t channels = 0) const;
};

/// Files, in the order given.
class ImagePaths final : public ImageSource {
 public:
  explicit ImagePaths(std::vector<std::filesystem::path> paths) : paths_(std::move(paths)) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(paths_.size()); }
  std::string name(std::int64_t i) const override { return path(i).string(); }
  std::vector<std::byte> encoded(std::int64_t i) const override;
  ImageHeader header(std::int64_t i) const override;

 private:
  const std::filesystem::path& path(std::int64_t i) const { return paths_.at(static_cast<std::size_t>(i)); }

  std::vector<std::filesystem::path> paths_;
};

/// The values of LMDB databases, one database after the other, each in the order of its keys.
class ImageDatabases final : public ImageSource {
 public:
  /// Throws UserError as Lmdb does.
  explicit ImageDatabases(const std::vector<std::filesystem::path>& files);
  std::int64_t size() const override;
  std::string name(std::int64_t i) const override;
  std::vector<std::byte> encoded(std::int64_t i) const override;
  ImageHeader header(std::int64_t i) const override;
  /// The values of the first database.
  std::int64_t size_of_first() const { return databases_.front().lmdb->size(); }

 private:
  struct Database {
    std::string name;
    std::unique_ptr<Lmdb> lmdb;
  };
  /// The database of image `i` and its number there.
  std::pair<const Database&, std::int64_t> find(std::int64_t i) const;

  std::vector<Database> databases_;
};

/// Images [first, first + count) of a source (count,size,size,channels), without labels. Decodes on all processors.
/// Throws UserError for the first that cannot be decoded.
Images read_images(const ImageSource& source, std::int64_t first, std::int64_t count, const Fitting& fitting);
/// All of them.
Images read_images(const ImageSource& source, const Fitting& fitting);

/// Why images cannot be decoded: their numbers with the messages, in order. Decodes all on all processors.
std::map<std::int64_t, std::string> find_damaged(const ImageSource& source);

}  // namespace damc
