#include "data/lmdb.h"

#include <bit>
#include <cstring>

#include "tensor/error.h"

namespace damc {

namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint32_t kMagic = 0xBEEFC0DE, kVersion = 1;
constexpr std::size_t kPageHeader = 16, kNodeHeader = 8;
constexpr std::size_t kSmallestPage = 512, kLargestPage = 65536;
constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
constexpr int kMaxDepth = 32;

// Bits of a page's flags.
constexpr unsigned kBranchPage = 1, kLeafPage = 2, kOverflowPage = 4;
// Bits of a node's flags: its value has pages of its own, is a database, is a set of values.
constexpr unsigned kOwnPages = 1, kDatabase = 2, kSeveral = 4;

// Offsets in a page that describes the whole file (a header, then MDB_meta).
constexpr std::size_t kMagicAt = 16, kVersionAt = 20, kPageSizeAt = 40, kRootAt = 128, kTransactionAt = 144;

/// The number at an offset that is known to lie within `bytes`.
template <typename T>
T number(std::span<const std::byte> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.subspan(at, sizeof(T)).data(), sizeof(T));
  return value;
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what,
                         const std::string& hint = "unpack or download the database again") {
  user_error(fmt::format("'{}' {}", path.string(), what), hint);
}

}  // namespace

/// The way through the tree from the root to all leaves.
class Lmdb::Walk {
 public:
  Walk(const std::filesystem::path& path, std::span<const std::byte> file) : path_(path), file_(file) {}

  std::vector<Entry> run() {
    if (file_.size() < kSmallestPage || number<std::uint32_t>(file_, kMagicAt) != kMagic) {
      refuse(path_, "is no LMDB database", "name the folder of data.mdb as it was unpacked");
    }
    if (const auto version = number<std::uint32_t>(file_, kVersionAt); version != kVersion) {
      refuse(path_, fmt::format("is of version {} of LMDB's format; {} is read", version, kVersion));
    }
    page_size_ = number<std::uint32_t>(file_, kPageSizeAt);
    if (!std::has_single_bit(page_size_) || page_size_ < kSmallestPage || page_size_ > kLargestPage) {
      refuse(path_, fmt::format("is damaged: pages of {} bytes", page_size_));
    }
    // Two pages describe the file, in turn; the one of the later transaction holds.
    const std::span<const std::byte> first = page(0), second = page(1);
    if (number<std::uint32_t>(second, kMagicAt) != kMagic)
      refuse(path_, "is damaged: page 1 describes no database");
    const bool later =
        number<std::uint64_t>(second, kTransactionAt) > number<std::uint64_t>(first, kTransactionAt);
    const auto root = number<std::uint64_t>(later ? second : first, kRootAt);
    if (root != kNoPage) enter(root, 1);
    return std::move(entries_);
  }

 private:
  std::span<const std::byte> page(std::uint64_t i) const {
    const std::size_t pages = file_.size() / page_size_;
    if (i >= pages)
      refuse(path_, fmt::format("is cut off or damaged: it needs page {} and has {}", i, pages));
    return file_.subspan(i * page_size_, page_size_);
  }

  [[noreturn]] void damaged(std::uint64_t page) const {
    refuse(path_, fmt::format("is damaged: page {} is not what it should be", page));
  }

  /// Lists what is below page `i`. A tree shows no page twice, so that a circle ends.
  void enter(std::uint64_t i, int depth) {
    const std::span<const std::byte> here = page(i);
    if (++n_entered_ > file_.size() / page_size_ || depth > kMaxDepth) damaged(i);
    const unsigned flags = number<std::uint16_t>(here, 10);
    const std::size_t lower = number<std::uint16_t>(here, 12);  // the end of the list of nodes
    const bool branch = (flags & kBranchPage) != 0;
    if (lower < kPageHeader || lower > page_size_ || branch == ((flags & kLeafPage) != 0)) damaged(i);
    for (std::size_t at = kPageHeader; at + 1 < lower; at += 2) {
      const std::size_t node = number<std::uint16_t>(here, at);
      if (node < kPageHeader || node + kNodeHeader > page_size_) damaged(i);
      const std::uint64_t low = number<std::uint32_t>(here, node);
      const unsigned node_flags = number<std::uint16_t>(here, node + 4);
      if (branch) {
        enter(low | std::uint64_t{node_flags} << 32, depth + 1);
      } else {
        add(i, here.subspan(node + kNodeHeader), number<std::uint16_t>(here, node + 6), low, node_flags);
      }
    }
  }

  /// One leaf: `rest` of the page holds the key and then the value, or where that is.
  void add(std::uint64_t i, std::span<const std::byte> rest, std::size_t key_size, std::size_t size,
           unsigned flags) {
    if (flags & (kDatabase | kSeveral)) {
      refuse(path_, "holds several databases or several values to a key, not images by their keys",
             "LSUN's databases are read, and others that hold image files");
    }
    const bool own_pages = (flags & kOwnPages) != 0;
    if (key_size + (own_pages ? sizeof(std::uint64_t) : size) > rest.size()) damaged(i);
    const std::span<const std::byte> key = rest.first(key_size);
    if (!own_pages) {
      entries_.push_back({key, rest.subspan(key_size, size), false});
      return;
    }
    const auto first = number<std::uint64_t>(rest, key_size);
    page(first);
    const std::span<const std::byte> behind = file_.subspan(first * page_size_ + kPageHeader);
    if (size > behind.size()) {
      refuse(path_,
             fmt::format("is cut off or damaged: the value of {} bytes in page {} reaches beyond its end",
                         size, first));
    }
    entries_.push_back({key, behind.first(size), true});
  }

  const std::filesystem::path& path_;
  std::span<const std::byte> file_;
  std::size_t page_size_ = 0, n_entered_ = 0;
  std::vector<Entry> entries_;
};

Lmdb::Lmdb(const std::filesystem::path& path)
    : path_(path), file_(path), entries_(Walk(path_, file_.bytes()).run()) {}

const Lmdb::Entry& Lmdb::entry(std::int64_t i) const {
  ENSURE(0 <= i && i < size(), "value {} asked for, but '{}' has {}", i, path_.string(), size());
  return entries_[static_cast<std::size_t>(i)];
}

std::string Lmdb::key(std::int64_t i) const {
  const std::span<const std::byte> key = entry(i).key;
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

std::span<const std::byte> Lmdb::value(std::int64_t i) const {
  const Entry& found = entry(i);
  if (found.has_pages) {
    const std::span<const std::byte> header(found.value.data() - kPageHeader, kPageHeader);
    if (!(number<std::uint16_t>(header, 10) & kOverflowPage)) {
      refuse(path_, fmt::format("is damaged: the pages of value {} are others'", i));
    }
  }
  return found.value;
}

}  // namespace damc
