#include "data/file_tree.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <unordered_set>
#include <utility>

#include "tensor/io/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

/// Lists everything that is no link first, so that a link to what is found anyway adds nothing.
class Walk {
 public:
  explicit Walk(int max_depth) : max_depth_(max_depth) {}

  FileTree run(const fs::path& root) {
    follow({root, -1});
    while (!links_.empty()) {
      std::vector<Link> links = std::exchange(links_, {});
      std::ranges::sort(links, {}, [](const Link& link) { return link.path.native(); });
      for (const Link& link : links) follow(link);
    }
    for (auto* const paths : {&tree_.files, &tree_.unusable})
      std::ranges::sort(*paths, {}, &fs::path::native);
    return std::move(tree_);
  }

 private:
  struct Link {
    fs::path path;
    int depth;  // of the folder it is in
  };

  /// `real` is what `folder` is without links.
  void enter(const fs::path& folder, const fs::path& real, int depth) {
    if (depth > max_depth_ || !seen_.insert(real.native()).second) return;
    std::error_code error;
    for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
         it.increment(error)) {
      meet(*it, real, depth);
    }
    if (error) tree_.unreadable.emplace(folder, error);
  }

  /// An entry of the folder that is `real` without links.
  void meet(const fs::directory_entry& entry, const fs::path& real, int depth) {
    const fs::path name = entry.path().filename();
    std::error_code error;  // what cannot be asked for is of no kind
    if (name.native().starts_with('.')) {
      ++tree_.hidden;
    } else if (entry.is_symlink(error)) {
      links_.push_back({entry.path(), depth});
    } else {
      const fs::file_status status = entry.status(error);
      if (error == std::errc::permission_denied) {  // the folder's names can be read, but no more
        tree_.unreadable.emplace(entry.path().parent_path(), error);
      } else {
        add(entry.path(), real / name, status, depth);
      }
    }
  }

  void add(const fs::path& path, const fs::path& real, fs::file_status status, int depth) {
    if (fs::is_directory(status)) {
      enter(path, real, depth + 1);
    } else if (!fs::is_regular_file(status)) {
      tree_.unusable.push_back(path);
    } else if (seen_.insert(real.native()).second) {
      tree_.files.push_back(path);
    }
  }

  void follow(const Link& link) {
    std::error_code error;
    const fs::path real = fs::canonical(link.path, error);
    if (error) {
      tree_.unusable.push_back(link.path);
    } else {
      add(link.path, real, fs::status(real, error), link.depth);
    }
  }

  int max_depth_;
  FileTree tree_;
  std::vector<Link> links_;
  std::unordered_set<std::string> seen_;
};

}  // namespace

FileTree list_files(const fs::path& root, int max_depth) { return Walk(max_depth).run(root); }

void refuse_unreadable(const FileTree& tree) {
  if (tree.unreadable.empty()) return;
  const auto& [folder, reason] = *tree.unreadable.begin();
  cannot_read(fmt::format("cannot read the folder '{}'", folder.string()), reason.value());
}

std::string ending(const fs::path& path) {
  std::string text = path.extension().string();
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string summary(const std::vector<fs::path>& files, const FileTree& tree) {
  constexpr std::size_t kMaxKinds = 8;
  std::map<std::string, std::int64_t> counts;
  for (const fs::path& file : files) ++counts[ending(file)];
  std::vector<std::pair<std::string, std::int64_t>> kinds(counts.begin(), counts.end());
  std::ranges::stable_sort(kinds, std::ranges::greater(), [](const auto& kind) { return kind.second; });
  std::vector<std::string> parts;
  std::int64_t others = 0;
  for (const auto& [kind, count] : kinds) {
    if (parts.size() < kMaxKinds) {
      parts.push_back(fmt::format("{} {}", count, kind.empty() ? "without an ending" : kind));
    } else {
      others += count;
    }
  }
  if (others > 0) parts.push_back(fmt::format("{} others", others));
  if (tree.hidden > 0) parts.push_back(fmt::format("{} hidden", tree.hidden));
  if (const std::size_t n = tree.unusable.size(); n > 0) {
    parts.push_back(fmt::format("{} broken link{} or special file{} ('{}'{})", n, n > 1 ? "s" : "",
                                n > 1 ? "s" : "", tree.unusable[0].string(), n > 1 ? ", ..." : ""));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace damc
