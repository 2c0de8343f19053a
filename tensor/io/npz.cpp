#include "tensor/io/npz.h"

#include <fmt/ranges.h>

#include "tensor/error.h"
#include "tensor/io/npy.h"
#include "tensor/text.h"

namespace damc {
namespace {

constexpr std::string_view kEnding = ".npy";

}  // namespace

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  for (const auto& [entry, bytes] : archive_.sizes()) {
    if (entry.ends_with(kEnding)) names.push_back(entry.substr(0, entry.size() - kEnding.size()));
  }
  return names;
}

Tensor NpzFile::read(const std::string& name) const {
  const std::string entry = name + std::string(kEnding);
  const std::string file = archive_.path().string();
  if (!archive_.contains(entry)) {
    std::vector<std::string> found = names();
    const std::size_t more = found.size() > 8 ? found.size() - 8 : 0;
    found.resize(found.size() - more);
    for (std::string& other : found) other = in_quotes(other);
    user_error(fmt::format("'{}' holds no array {}", file, in_quotes(name)),
               found.empty() ? "it holds no arrays at all: is it an .npz file?"
                             : fmt::format("it holds {}{}", fmt::join(found, ", "),
                                           more > 0 ? fmt::format(" and {} more", more) : ""));
  }
  return parse_npy(fmt::format("'{}': array {}", file, in_quotes(name)), archive_.read(entry));
}

}  // namespace damc
