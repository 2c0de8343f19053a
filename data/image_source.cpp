#include "data/image_source.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/processors.h"

namespace damc {

namespace {

/// Calls body(i) for i in [0, n) on all processors; the exception of the smallest i that failed is thrown.
template <typename Body>
void for_each_index(std::int64_t n, const Body& body) {
  std::atomic<std::int64_t> next{0};
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(n));
  const auto work = [&] {
    for (std::int64_t i = next++; i < n; i = next++) {
      try {
        body(i);
      } catch (...) {
        failures[static_cast<std::size_t>(i)] = std::current_exception();
        next = n;  // nobody starts another one; all before i have been started
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 1; t < std::thread::hardware_concurrency(); ++t) {
      threads.emplace_back([&work] {
        const OnEveryProcessor anywhere;
        work();
      });
    }
    work();
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace

Images ImageSource::decode(std::int64_t i, std::int64_t channels) const {
  return decode_image(encoded(i), name(i), channels);
}

std::vector<std::byte> ImagePaths::encoded(std::int64_t i) const {
  return read_file(path(i), kMaxImageBytes);
}

ImageHeader ImagePaths::header(std::int64_t i) const {
  if (regular_file_size(path(i)) > kMaxImageBytes) encoded(i);  // refuses it
  return read_header(MappedFile(path(i)).bytes(), name(i));     // which looks at no more of it than it needs
}

ImageDatabases::ImageDatabases(const std::vector<std::filesystem::path>& files) {
  ENSURE(!files.empty(), "no databases");
  for (const auto& file : files) databases_.push_back({file.string(), std::make_unique<Lmdb>(file)});
}

std::int64_t ImageDatabases::size() const {
  std::int64_t n = 0;
  for (const Database& database : databases_) n += database.lmdb->size();
  return n;
}

std::pair<const ImageDatabases::Database&, std::int64_t> ImageDatabases::find(std::int64_t i) const {
  for (const Database& database : databases_) {
    if (i < database.lmdb->size()) return {database, i};
    i -= database.lmdb->size();
  }
  throw Error(fmt::format("image {} behind the last of the databases", i));
}

std::string ImageDatabases::name(std::int64_t i) const {
  const auto& [database, number] = find(i);
  return fmt::format("{}: {}", database.name, database.lmdb->key(number));
}

std::vector<std::byte> ImageDatabases::encoded(std::int64_t i) const {
  const auto& [database, number] = find(i);
  const std::span<const std::byte> value = database.lmdb->value(number);
  return {value.begin(), value.end()};
}

ImageHeader ImageDatabases::header(std::int64_t i) const {
  const auto& [database, number] = find(i);
  return read_header(database.lmdb->value(number), name(i));
}

Images read_images(const ImageSource& source, std::int64_t first, std::int64_t count,
                   const Fitting& fitting) {
  Images images{count, fitting.size, fitting.size, fitting.channels, {}, {}};
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count * images.image_size()));
  for_each_index(count, [&](std::int64_t i) {
    const Images image = fit_square(source.decode(first + i, fitting.channels), fitting);
    std::ranges::copy(image.pixels, pixels.begin() + i * images.image_size());
  });
  images.pixels = std::move(pixels);
  return images;
}

Images read_images(const ImageSource& source, const Fitting& fitting) {
  return read_images(source, 0, source.size(), fitting);
}

std::map<std::int64_t, std::string> find_damaged(const ImageSource& source) {
  std::map<std::int64_t, std::string> damaged;
  std::mutex held;
  for_each_index(source.size(), [&](std::int64_t i) {
    try {
      source.decode(i);
    } catch (const Error& error) {
      const std::lock_guard lock(held);
      damaged.emplace(i, error.what());
    }
  });
  return damaged;
}

}  // namespace damc
