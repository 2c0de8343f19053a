#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <unordered_map>

#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/io/pickle.h"
#include "tensor/io/torch_file.h"
#include "tensor/io/torch_storage.h"
#include "tensor/io/zip_archive.h"
#include "tensor/text.h"

namespace damc {
namespace {

namespace fs = std::filesystem;
using pickle::Pickle;
using pickle::Value;

constexpr const char* kDamaged = "the file is damaged or cut off; get it again";
constexpr int kMaxDepth = 64;              // of nested dictionaries and lists
constexpr std::size_t kMaxTorchDims = 64;  // as many as PyTorch has
constexpr std::int64_t kMaxNodes = 4'000'000;
constexpr std::size_t kMaxKey = 1000;
constexpr std::int64_t kMaxHead = std::int64_t{64} << 20;  // bytes of the older form before its data

/// Calls that build tensors and dictionaries, and those of types that checkpoints carry beside them.
constexpr std::string_view kMayCall[] = {
    "collections.OrderedDict", "collections.defaultdict", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state", "torch.Size",
    // What follows is left out.
    "torch._utils._rebuild_qtensor", "torch._utils._rebuild_sparse_tensor", "torch.serialization._get_layout",
    "torch._utils._rebuild_nested_tensor", "torch._utils._rebuild_meta_tensor_no_storage",
    "argparse.Namespace", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "_codecs.encode",
    "torch.device", "copy_reg._reconstructor", "copyreg._reconstructor", "builtins.set", "__builtin__.set",
    "builtins.frozenset", "__builtin__.frozenset", "builtins.complex", "__builtin__.complex",
    "collections.Counter", "datetime.datetime", "pathlib.PosixPath", "pathlib._local.PosixPath"};

/// Types that have no storage of their own.
constexpr TorchStorageType kNewTypes[] = {{"U16", "torch.uint16"},
                                          {"U32", "torch.uint32"},
                                          {"U64", "torch.uint64"},
                                          {"F8_E4M3", "torch.float8_e4m3fn"},
                                          {"F8_E5M2", "torch.float8_e5m2"}};

/// Bytes of an element of those that are left out.
constexpr std::pair<std::string_view, std::int64_t> kLeftOut[] = {
    {"torch.ComplexDoubleStorage", 16}, {"torch.QInt8Storage", 1},    {"torch.QUInt8Storage", 1},
    {"torch.QInt32Storage", 4},         {"torch.QUInt4x2Storage", 1}, {"torch.QUInt2x4Storage", 1}};

/// What is there of a storage that is left out, with the tensors in it.
struct LeftOut {
  std::string type;
  std::int64_t numel;
};

/// A memory that tensors are views of. It is loaded for the first tensor that is read and dropped after the last.
struct Storage {
  std::string dtype;
  std::int64_t numel = 0, uses = 0;
  std::function<std::vector<std::byte>()> load;
  std::vector<std::byte> memory;

  std::int64_t element() const { return bits_of(dtype) / 8; }
  std::int64_t bytes() const { return numel * element(); }
};

/// Where a tensor's elements are in a storage, counted in elements.
struct View {
  std::shared_ptr<Storage> storage;
  std::int64_t offset;
  std::vector<std::int64_t> shape, strides;
};

/// The elements of a view in row-major order; its bounds have been checked.
std::vector<std::byte> gather(const View& view, const std::vector<std::byte>& memory, std::size_t bytes) {
  std::vector<std::byte> out(bytes);
  const auto element = static_cast<std::size_t>(view.storage->element());
  std::vector<std::int64_t> index(view.shape.size(), 0);
  std::int64_t at = view.offset;
  for (std::size_t done = 0; done < bytes; done += element) {
    std::memcpy(out.data() + done, memory.data() + static_cast<std::size_t>(at) * element, element);
    for (std::size_t d = index.size(); d-- > 0;) {
      at += view.strides[d];
      if (++index[d] < view.shape[d]) break;
      at -= view.strides[d] * view.shape[d];
      index[d] = 0;
    }
  }
  return out;
}

bool is_contiguous(const View& view) {
  std::int64_t expected = 1;
  for (std::size_t d = view.shape.size(); d-- > 0;) {
    if (view.shape[d] != 1 && view.strides[d] != expected) return false;
    expected *= view.shape[d];
  }
  return true;
}

std::vector<std::byte> read_view(const View& view, std::size_t bytes) {
  Storage& storage = *view.storage;
  if (storage.memory.empty()) storage.memory = storage.load();
  const bool whole = is_contiguous(view);
  const bool last = --storage.uses <= 0;
  if (whole && last && storage.memory.size() == bytes) return std::exchange(storage.memory, {});
  const std::size_t begin = static_cast<std::size_t>(view.offset * storage.element());
  std::vector<std::byte> out;
  if (bytes > 0 && whole) {
    const auto first = storage.memory.begin() + static_cast<std::ptrdiff_t>(begin);
    out.assign(first, first + static_cast<std::ptrdiff_t>(bytes));
  } else {
    out = gather(view, storage.memory, bytes);
  }
  if (last) storage.memory = {};
  return out;
}

/// Turns a pickle into the values that it stands for.
class Builder {
 public:
  Builder(const Pickle& source, std::string where) : source_(source), where_(std::move(where)) {
    for (const Value& value : source_.values()) {
      if (const auto* persistent = value.as<pickle::Persistent>()) add_storage(value, *persistent->id);
    }
  }

  /// The storages of types that are not read, by their keys.
  const std::map<std::string, LeftOut>& left_out() const { return left_out_; }
  /// All others by their keys; whoever opened the file says how they are loaded.
  std::map<std::string, std::shared_ptr<Storage>>& storages() { return storages_; }

  TorchValue build() {
    constexpr std::int64_t most_copies = 16, always_allowed = std::int64_t{64} << 20;
    std::int64_t total = always_allowed;
    for (const auto& [key, storage] : storages_) total += most_copies * storage->bytes();
    bytes_left_ = total;
    return build(source_.root(), 0);
  }

 private:
  [[noreturn]] void fail(const std::string& reason, const char* hint = kDamaged) const {
    user_error(where_ + ": " + reason, hint);
  }

  /// ('storage', type, key, location, elements); in the older form followed by a view, which is None.
  void add_storage(const Value& persistent, const Value& id) {
    const auto* fields = id.as<pickle::Sequence>();
    const auto field = [&](std::size_t i) {
      return fields && i < fields->items.size() ? fields->items[i] : nullptr;
    };
    const auto* kind = field(0) ? field(0)->as<std::string>() : nullptr;
    if (kind && *kind == "module")
      fail("it holds a whole module, code and all", "save model.state_dict() in its place");
    const auto* type = field(1) ? field(1)->as<pickle::Global>() : nullptr;
    const auto* key = field(2) ? field(2)->as<std::string>() : nullptr;
    const auto* numel = field(4) ? field(4)->as<std::int64_t>() : nullptr;
    if (!kind || *kind != "storage" || !type || !key || !numel || *numel < 0)
      fail("a storage without type, key or size");
    if (field(5) && !field(5)->as<std::monostate>())
      fail("a storage that is a view of another, as PyTorch 0.x wrote it");
    const auto* known = type->name.starts_with("torch.")
                            ? find_torch_storage(&TorchStorageType::name, type->name.substr(6))
                            : nullptr;
    if (*numel > std::numeric_limits<std::int64_t>::max() / 1024)
      fail("a storage of more bytes than there are");
    if (!known) {
      left_out_[*key] = {type->name, *numel};
      return;
    }
    auto& storage = storages_[*key];
    if (!storage) storage = std::make_shared<Storage>(Storage{std::string(known->dtype), *numel, 0, {}, {}});
    if (storage->dtype != known->dtype || storage->numel != *numel)
      fail(fmt::format("storage {} has two types or sizes", in_quotes(*key)));
    by_id_[&persistent] = storage;
  }

  TorchValue build(const Value& value, int depth) {
    if (depth > kMaxDepth) fail(fmt::format("values are nested more than {} deep", kMaxDepth));
    if (++nodes_ > kMaxNodes) fail(fmt::format("more than {} values", kMaxNodes));
    if (value.as<std::monostate>()) return {};
    if (const auto* b = value.as<bool>()) return {*b};
    if (const auto* i = value.as<std::int64_t>()) return {*i};
    if (const auto* d = value.as<double>()) return {*d};
    if (const auto* text = value.as<std::string>()) return build_text(*text);
    if (const auto* dictionary = value.as<pickle::Dictionary>())
      return {build_items(dictionary->items, depth)};
    if (const auto* global = value.as<pickle::Global>()) return {TorchOther{global->name}};
    if (const auto* call = value.as<pickle::Call>()) return build_call(*call, depth);
    if (value.as<pickle::Persistent>()) return {TorchOther{"torch.Storage"}};
    TorchList list;
    for (const Value* item : value.as<pickle::Sequence>()->items) list.push_back(build(*item, depth + 1));
    return {std::move(list)};
  }

  /// Long texts may be in many places of the tree and only once in the file.
  TorchValue build_text(const std::string& text) {
    take(static_cast<std::int64_t>(text.size()));
    return {text};
  }

  /// Keys are texts or integers; what has another key is left out with its value.
  TorchDict build_items(const pickle::Items& items, int depth) {
    TorchDict dict;
    for (const auto& [key, value] : items) {
      if (const auto* text = key->as<std::string>()) {
        if (text->size() > kMaxKey) fail(fmt::format("a key of {} bytes", text->size()));
        dict.push_back({*text, build(*value, depth + 1)});
      } else if (const auto* number = key->as<std::int64_t>()) {
        dict.push_back({*number, build(*value, depth + 1)});
      } else {
        dict.push_back({"?", {TorchOther{"a key"}}});
      }
    }
    return dict;
  }

  TorchValue build_call(const pickle::Call& call, int depth) {
    const auto& arguments = call.arguments->as<pickle::Sequence>()->items;
    if (call.callee == "collections.OrderedDict") {
      TorchDict dict = build_items(call.items, depth);
      if (!arguments.empty()) dict = build_items(pairs(*arguments[0]), depth);  // as Python 2 pickled it
      return {std::move(dict)};
    }
    if (call.callee == "collections.defaultdict") return {build_items(call.items, depth)};
    if (call.callee.starts_with("torch._utils._rebuild_tensor")) return build_tensor(arguments);
    if (arguments.empty()) return {TorchOther{call.callee}};
    if (call.callee.starts_with("torch._utils._rebuild_parameter") || call.callee == "torch.Size")
      return build(*arguments[0], depth + 1);
    return {TorchOther{call.callee}};
  }

  pickle::Items pairs(const Value& value) const {
    pickle::Items items;
    const auto* list = value.as<pickle::Sequence>();
    if (!list) fail("an OrderedDict that is not made of pairs");
    for (const Value* item : list->items) {
      const auto* pair = item->as<pickle::Sequence>();
      if (!pair || pair->items.size() != 2) fail("an OrderedDict that is not made of pairs");
      items.emplace_back(pair->items[0], pair->items[1]);
    }
    return items;
  }

  /// The storage of a tensor by its arguments: of newer types it holds bytes, and the seventh says what they are. Null:
  /// of a type that is not read.
  std::shared_ptr<Storage> storage_of(const std::vector<const Value*>& arguments) {
    const auto found = by_id_.find(arguments[0]);
    if (found == by_id_.end()) return nullptr;
    const auto* type = arguments.size() > 6 ? arguments[6]->as<pickle::Global>() : nullptr;
    if (!type) return found->second;
    const auto* known = std::ranges::find(kNewTypes, type->name, &TorchStorageType::name);
    if (known == std::end(kNewTypes)) return nullptr;
    const Storage& bytes = *found->second;
    auto& typed = typed_[{&bytes, known->dtype}];
    if (!typed) {
      typed = std::make_shared<Storage>(
          Storage{std::string(known->dtype), bytes.bytes() * 8 / bits_of(known->dtype), 0, bytes.load, {}});
    }
    return typed;
  }

  /// Arguments: storage, offset, sizes, strides; what follows is of no importance to the data but for a type.
  TorchValue build_tensor(const std::vector<const Value*>& arguments) {
    if (arguments.size() < 4 || !arguments[0]->as<pickle::Persistent>())
      fail("a tensor without storage, offset, sizes and strides");
    const auto storage = storage_of(arguments);
    if (!storage) return {TorchOther{"a tensor"}};
    const auto* offset = arguments[1]->as<std::int64_t>();
    if (!offset || *offset < 0) fail("a tensor's offset is no natural number");
    const auto view =
        std::make_shared<View>(View{storage, *offset, naturals(*arguments[2]), naturals(*arguments[3])});
    check_bounds(*view);
    for (std::size_t d = 0; d < view->shape.size(); ++d) {
      if (view->shape[d] <= 1) view->strides[d] = 0;  // may be any number, and is of no importance
    }
    ++view->storage->uses;
    StoredTensor tensor{view->storage->dtype, view->shape, {}};
    const auto bytes = static_cast<std::size_t>(tensor.bytes());
    take(tensor.bytes());
    tensor.read = [view, bytes] { return read_view(*view, bytes); };
    return {std::move(tensor)};
  }

  std::vector<std::int64_t> naturals(const Value& value) const {
    const Value* list = &value;
    if (const auto* call = list->as<pickle::Call>(); call && call->callee == "torch.Size") {
      const auto& arguments = call->arguments->as<pickle::Sequence>()->items;
      if (arguments.size() == 1) list = arguments[0];
    }
    const auto* items = list->as<pickle::Sequence>();
    if (!items || items->items.size() > kMaxTorchDims)
      fail("a tensor's sizes or strides are no list of at most 64");
    std::vector<std::int64_t> numbers;
    for (const Value* item : items->items) {
      const auto* number = item->as<std::int64_t>();
      if (!number || *number < 0) fail("a tensor's size or stride is no natural number");
      numbers.push_back(*number);
    }
    return numbers;
  }

  /// Elements within the storage, and sizes that multiply without overflow, those of 0 left out.
  void check_bounds(const View& view) const {
    if (view.shape.size() != view.strides.size()) fail("a tensor has other numbers of sizes and of strides");
    std::int64_t bits = 64, last = view.offset;
    bool overflow = false, empty = false;
    for (std::size_t d = 0; d < view.shape.size(); ++d) {
      const std::int64_t size = view.shape[d];
      std::int64_t reach = 0;
      overflow |= __builtin_mul_overflow(bits, std::max<std::int64_t>(size, 1), &bits);
      overflow |= __builtin_mul_overflow(std::max<std::int64_t>(size - 1, 0), view.strides[d], &reach);
      overflow |= __builtin_add_overflow(last, reach, &last);
      empty |= size == 0;
    }
    if (overflow || (!empty && last >= view.storage->numel))
      fail(fmt::format("a tensor goes beyond its storage of {} elements", view.storage->numel));
  }

  void take(std::int64_t bytes) {
    bytes_left_ -= bytes;
    if (bytes_left_ < 0) fail("its tensors and texts repeat the same memory too often");
  }

  const Pickle& source_;
  std::string where_;
  std::map<std::string, std::shared_ptr<Storage>> storages_;
  std::unordered_map<const Value*, std::shared_ptr<Storage>> by_id_;
  std::map<std::pair<const Storage*, std::string_view>, std::shared_ptr<Storage>> typed_;
  std::map<std::string, LeftOut> left_out_;
  std::int64_t nodes_ = 0, bytes_left_ = 0;
};

/// The folder of the archive that holds everything: the place of its one data.pkl.
std::string find_folder(const ZipArchive& archive, const std::string& where) {
  constexpr std::string_view pickle_name = "data.pkl";
  std::string folder;
  int found = 0;
  for (const auto& [name, size] : archive.sizes()) {
    if (name != pickle_name && !name.ends_with("/data.pkl")) continue;
    folder = name.substr(0, name.size() - pickle_name.size());
    ++found;
  }
  if (found != 1) user_error(where + ": a zip archive, but not one of PyTorch (no data.pkl)");
  if (archive.contains(folder + "constants.pkl"))
    user_error(where + ": a TorchScript archive, which is a program",
               "in Python, torch.save(torch.jit.load(FILE).state_dict(), OTHER)");
  return folder;
}

std::string text_from(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TorchValue read_zip(const fs::path& path, const std::string& where) {
  const auto archive = std::make_shared<ZipArchive>(path);
  const std::string folder = find_folder(*archive, where);
  const std::string order = folder + "byteorder";
  if (archive->contains(order) && text_from(archive->read(order)) != "little")
    user_error(where + ": its numbers are big-endian", "save it again on the machine where it is read");
  const Pickle source(archive->read(folder + "data.pkl"), where, kMayCall);
  Builder builder(source, where);
  for (const auto& [key, storage] : builder.storages()) {
    const std::string name = folder + "data/" + key;
    const auto entry = archive->sizes().find(name);
    if (entry == archive->sizes().end() || entry->second != storage->bytes()) {
      user_error(
          fmt::format("{}: storage {} needs {} bytes, {}", where, in_quotes(key), storage->bytes(),
                      entry == archive->sizes().end() ? "and is missing"
                                                      : fmt::format("its entry has {}", entry->second)),
          kDamaged);
    }
    storage->load = [archive, name] { return archive->read(name); };
  }
  return builder.build();
}

// The older form: three pickles that say what it is, the object's, the list of its storages' keys, and their data in
// that order, each after the number of its elements. The first pickle is this number and no other, behind the protocol
// and, from protocol 4 on, the size of a frame.
constexpr unsigned char kLegacyNumber[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                           0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
constexpr std::size_t kProtocolSize = 2, kFrameSize = 9;
constexpr unsigned char kProtocolMark = 0x80, kFrameMark = 0x95;
constexpr std::int64_t kLegacyProtocol = 1001;

/// Where the first pickle of the older form ends; 0 in a file that is none.
std::size_t legacy_start(InputFile& file) {
  std::array<unsigned char, kProtocolSize + kFrameSize + sizeof kLegacyNumber> start{};
  const std::size_t size = std::min(start.size(), static_cast<std::size_t>(file.size()));
  file.read(0, std::as_writable_bytes(std::span(start).first(size)));
  const std::size_t at = kProtocolSize + (start[kProtocolSize] == kFrameMark ? kFrameSize : 0);
  if (start[0] != kProtocolMark || std::memcmp(&start[at], kLegacyNumber, sizeof kLegacyNumber) != 0)
    return 0;
  return at + sizeof kLegacyNumber;
}

/// Bytes of a storage that is left out.
std::int64_t bytes_of(const LeftOut& storage, const std::string& where) {
  const auto* known =
      std::ranges::find(kLeftOut, storage.type, &std::pair<std::string_view, std::int64_t>::first);
  if (known != std::end(kLeftOut)) return storage.numel * known->second;
  user_error(
      fmt::format("{}: storages of type {} are not read in this older form", where, in_quotes(storage.type)),
      "save the file again without _use_new_zipfile_serialization=False");
}

/// Finds the storages' data from `at` on.
void locate_storages(Builder& builder, const std::shared_ptr<InputFile>& file, std::int64_t at,
                     const Value& keys, const std::string& where) {
  const auto refuse = [&](const std::string& reason) { user_error(where + ": " + reason, kDamaged); };
  const auto* list = keys.as<pickle::Sequence>();
  if (!list) refuse("there is no list of storages");
  const auto skip = [&](const std::string& key, std::int64_t expected, std::int64_t bytes) {
    std::int64_t numel = 0;
    file->read(at, std::as_writable_bytes(std::span(&numel, 1)));
    if (numel != expected)
      refuse(fmt::format("storage {} has {} elements, {} are expected", in_quotes(key), numel, expected));
    at += 8;
    if (bytes > file->size() - at) refuse(fmt::format("the file ends within storage {}", in_quotes(key)));
    return std::exchange(at, at + bytes);
  };
  for (const Value* item : list->items) {
    const auto* key = item->as<std::string>();
    const auto other = key ? builder.left_out().find(*key) : builder.left_out().end();
    if (other != builder.left_out().end()) {
      skip(*key, other->second.numel, bytes_of(other->second, where));
      continue;
    }
    const auto found = key ? builder.storages().find(*key) : builder.storages().end();
    if (found == builder.storages().end() || found->second->load) refuse("the list of storages is another's");
    Storage& storage = *found->second;
    const std::int64_t begin = skip(*key, storage.numel, storage.bytes());
    storage.load = [file, begin, bytes = storage.bytes()] { return file->read(begin, bytes); };
  }
  for (const auto& [key, storage] : builder.storages()) {
    if (!storage->load) refuse(fmt::format("storage {} is missing", in_quotes(key)));
  }
}

TorchValue read_legacy(const fs::path& path, const std::string& where) {
  const auto file = std::make_shared<InputFile>(path);
  const std::vector<std::byte> head = file->read(0, std::min(file->size(), kMaxHead));
  std::size_t at = legacy_start(*file);
  const auto next = [&] {
    Pickle read(std::span<const std::byte>(head).subspan(at), where, kMayCall);
    at += read.size();
    return read;
  };
  const Pickle protocol = next(), machine = next(), object = next(), keys = next();
  const auto* version = protocol.root().as<std::int64_t>();
  if (!version || *version != kLegacyProtocol)
    user_error(where + ": a form of PyTorch's files that is not known");
  Builder builder(object, where);
  locate_storages(builder, file, static_cast<std::int64_t>(at), keys.root(), where);
  return builder.build();
}

}  // namespace

bool is_legacy_torch_file(const fs::path& path) {
  InputFile file(path);
  return legacy_start(file) > 0;
}

TorchValue read_torch_file(const fs::path& path) {
  const std::string where = fmt::format("'{}'", path.string());
  return is_legacy_torch_file(path) ? read_legacy(path, where) : read_zip(path, where);
}

}  // namespace damc
