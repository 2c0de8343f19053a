#include "data/layout.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "data/file_tree.h"
#include "data/kinds.h"
#include "tensor/error.h"
#include "tensor/io/file.h"

namespace damc {
namespace fs = std::filesystem;

namespace {

constexpr int kMaxDepth = 3;

constexpr std::string_view kPackedFile = "images-idx4-ubyte";

/// What is looked for: official files, or those of a packed folder.
struct Format {
  std::string_view name, title;
  std::span<const std::string_view> files;  // official names
  std::size_t needed;                       // how many of them make a complete set, from the first on
};

const std::vector<Format>& formats() {
  static const std::vector<Format> all = [] {
    std::vector<Format> found;
    for (const Kind& kind : kinds()) {
      if (kind.store != Store::folder) found.push_back({kind.name, kind.title, kind.files, kind.needed});
    }
    found.push_back({"packed", "packed images", {&kPackedFile, 1}, 1});
    return found;
  }();
  return all;
}

const Format& format_called(std::string_view name) {
  return *std::ranges::find(formats(), name, &Format::name);
}

/// A file name as its official form: lower case, without .gz, with a hyphen for the dot before "idx".
std::string plain_name(const fs::path& path) {
  std::string name = path.filename().string();
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (const std::size_t dot = name.find(".idx"); dot != std::string::npos) name[dot] = '-';
  return name;
}

/// Takes "emnist-digits" off the front of an EMNIST file's name, whose test files are called test-..., not t10k-...
std::string take_variant(std::string& name) {
  if (!name.starts_with("emnist-")) return {};
  const std::size_t end = name.find('-', 7);
  if (end == std::string::npos) return {};
  std::string variant = name.substr(0, end);
  name.erase(0, end + 1);
  if (name.starts_with("test-")) name.replace(0, 4, "t10k");
  return variant;
}

/// What a file may be: its official name, the folder that its set is in, and the set's variant.
struct Candidate {
  std::string name, variant;
  fs::path home;
};

/// A database is called data.mdb in a folder of its own, as tower_train_lmdb; in another folder it is taken for one
/// to train on.
Candidate database_candidate(const fs::path& path) {
  const fs::path folder = path.parent_path();
  std::string category = plain_name(folder);
  for (const std::string_view part : kLsunFiles) {
    if (!category.ends_with(part)) continue;
    category.resize(category.size() - part.size());
    if (category.ends_with('_')) category.pop_back();
    return {std::string(part), category, folder.parent_path()};
  }
  if (category.ends_with("test_lmdb")) return {};  // images of all categories
  return {std::string(kLsunFiles[0]), {}, folder};
}

Candidate candidate(const fs::path& path, const fs::path& dir) {
  std::string name = plain_name(path);
  if (name == "data.mdb") return database_candidate(path);
  fs::path home = path.parent_path();
  if (home != dir && plain_name(home) == name) home = home.parent_path();
  const std::string variant = take_variant(name);
  return {name, variant, home};
}

/// All sets in the folder, complete or not.
std::vector<Layout> find_all(const fs::path& dir, const std::vector<fs::path>& files) {
  std::vector<Layout> sets;
  for (const fs::path& path : files) {
    const Candidate found = candidate(path, dir);
    for (const Format& format : formats()) {
      if (std::ranges::find(format.files, found.name) == format.files.end()) continue;
      if (format.name == "packed" && found.home != dir) continue;
      if (format.name == "svhn" && ending(path) == ".gz") continue;
      auto set = std::ranges::find_if(sets, [&](const Layout& known) {
        return known.format == format.name && known.home == found.home && known.variant == found.variant;
      });
      if (set == sets.end()) {
        set = sets.insert(sets.end(), {std::string(format.name), found.variant, found.home, {}});
      }
      fs::path& kept = set->files[found.name];
      // Of several, the plain one wins, then the shortest.
      const auto rank = [](const fs::path& p) { return std::tuple(ending(p) == ".gz", p.native().size()); };
      if (kept.empty() || rank(path) < rank(kept)) kept = path;
    }
  }
  return sets;
}

/// The folders of image files that are called as in an official release, in or around those of the files; of the
/// folders of one release only the first in the table.
std::vector<Layout> find_folders(const fs::path& dir, const std::vector<fs::path>& files) {
  std::set<fs::path> folders{dir};
  const auto name_of = [&](const fs::path& folder) {  // also where dir is "."
    return folder == dir ? (fs::absolute(dir) / "").lexically_normal().parent_path().filename()
                         : folder.filename();
  };
  for (const fs::path& path : files) {
    for (fs::path folder = path.parent_path(); folder != dir && folders.insert(folder).second;) {
      folder = folder.parent_path();
    }
  }
  std::vector<Layout> found;
  for (const Kind& kind : kinds()) {
    if (kind.store != Store::folder) continue;
    for (const std::string_view name : kind.files) {
      const auto folder = std::ranges::find(folders, fs::path(name), name_of);
      if (folder == folders.end()) continue;
      found.push_back({std::string(kind.name), {}, *folder, {}});
      break;
    }
  }
  return found;
}

/// The smaller the better.
std::pair<bool, std::int64_t> rank_of(const Layout& set, const fs::path& dir) {
  const Format& format = format_called(set.format);
  const auto has = [&](std::string_view name) { return set.files.contains(name); };
  const bool complete =
      std::all_of(format.files.begin(), format.files.begin() + static_cast<int>(format.needed), has) ||
      has("extra_32x32.mat");
  const fs::path below = set.home.lexically_relative(dir);
  return {!complete, below == "." ? 0 : std::distance(below.begin(), below.end())};
}

std::string name_of(const Layout& set) {
  return fmt::format("{}'{}' ({})", set.variant.empty() ? "" : set.variant + " in ", set.home.string(),
                     set.format);
}

/// What the file's name says it is, if no reader is for that: what it is, and what to do.
std::pair<std::string, std::string> known_stranger(const fs::path& path) {
  const std::string name = path.filename().string();
  const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, name) != names.end();
  };
  if (is_one_of({"data_batch_1", "test_batch", "batches.meta"})) {
    return {"CIFAR-10's Python version, which is not read",
            "unpack cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html instead"};
  }
  if (is_one_of({"fine_label_names.txt"})) {
    return {"CIFAR-100, which is not read",
            "take CIFAR-10: cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html"};
  }
  if (is_one_of({"digitStruct.mat"})) {
    return {"SVHN's full numbers (format 1), which are not read",
            "take the cropped digits (format 2) from http://ufldl.stanford.edu/housenumbers/"};
  }
  const std::string kind = ending(path);
  if (kind == ".zip") {
    return {"an archive, which is not read",
            fmt::format("unpack it: unzip '{}' -d '{}'", path.string(), path.parent_path().string())};
  }
  if (kind == ".tar" || kind == ".tgz" || ending(path.stem()) == ".tar") {
    return {"an archive, which is not read",
            fmt::format("unpack it: tar xf '{}' -C '{}'", path.string(), path.parent_path().string())};
  }
  if (kind == ".7z" || kind == ".rar") return {"an archive, which is not read", "unpack it there"};
  return {};
}

}  // namespace

void require_folder(const fs::path& dir) {
  const fs::file_status status = status_of(dir);
  if (fs::is_directory(status)) return;
  if (!fs::exists(status)) user_error(fmt::format("the data folder '{}' does not exist", dir.string()));
  if (const auto [what, hint] = known_stranger(dir); !what.empty()) {
    user_error(fmt::format("'{}' is {}", dir.string(), what), hint);
  }
  user_error(fmt::format("'{}' is not a folder", dir.string()), "name the folder in which the data are");
}

Layout find_layout(const fs::path& dir, std::string_view format) {
  require_folder(dir);
  const fs::path root = dir.lexically_normal() / "";  // however many slashes end it
  const fs::path top = root.parent_path();
  const FileTree tree = list_files(top, kMaxDepth);
  const std::vector<fs::path>& files = tree.files;
  std::vector<Layout> sets = find_all(top, files);
  if (!format.empty()) std::erase_if(sets, [&](const Layout& set) { return set.format != format; });
  if (sets.empty()) {
    refuse_unreadable(tree);
    const std::vector<Layout> folders = find_folders(top, files);
    return folders.size() == 1 ? folders[0] : Layout{"images", {}, dir, {}};
  }
  std::ranges::stable_sort(sets, {}, [&](const Layout& set) { return rank_of(set, top); });
  if (sets.size() > 1 && rank_of(sets[0], top) == rank_of(sets[1], top)) {
    user_error(fmt::format("'{}' holds several data sets: {} and {}", dir.string(), name_of(sets[0]),
                           name_of(sets[1])),
               "name the folder of one of them, or give it one of its own");
  }
  return sets[0];
}

std::string files_beside(const Layout& set) {
  constexpr std::size_t kMostNames = 3;
  std::vector<std::string> names;
  std::size_t more = 0;
  for (const fs::path& path : list_files(set.home, kMaxDepth).files) {
    const bool taken = std::ranges::any_of(set.files, [&](const auto& file) { return file.second == path; });
    if (taken) continue;
    if (names.size() == kMostNames) {
      ++more;
    } else {
      names.push_back(fmt::format("'{}'", path.lexically_relative(set.home).string()));
    }
  }
  if (names.empty()) return {};
  return fmt::format("; not read: {}{}", fmt::join(names, ", "),
                     more > 0 ? fmt::format(" and {} more", more) : "");
}

void explain_absence(const fs::path& dir, std::string_view format) {
  const FileTree tree = list_files(dir, kMaxDepth);
  if (const std::vector<Layout> sets = find_all(dir, tree.files); !sets.empty()) {
    user_error(fmt::format("'{}' holds {}, not {}", dir.string(), format_called(sets[0].format).title,
                           format == "images" ? "images" : format_called(format).title),
               "name another folder, or a preset for these data");
  }
  for (const fs::path& path : tree.files) {
    if (const auto [what, hint] = known_stranger(path); !what.empty()) {
      user_error(fmt::format("'{}' is {}", path.string(), what), hint);
    }
  }
}

}  // namespace damc
