#include <bit>
#include <limits>
#include <span>

#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/io/torch_file.h"
#include "tensor/io/torch_storage.h"
#include "tensor/io/zip_archive.h"
#include "tensor/text.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

template <class T>
std::string bytes_of(T number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

/// Writes values as a pickle of protocol 2; tensors' data go to storages of their own, numbered in the order of their
/// coming.
class Pickler {
 public:
  explicit Pickler(std::string where) : where_(std::move(where)) {}

  const std::vector<const StoredTensor*>& tensors() const { return tensors_; }
  std::string pickle(const TorchValue& root) {
    text_ = "\x80\x02";
    add(root);
    return text_ + ".";
  }

 private:
  void add(const TorchValue& value) {
    if (const auto* b = value.as<bool>()) {
      text_ += *b ? "\x88" : "\x89";
    } else if (const auto* i = value.as<std::int64_t>()) {
      add_integer(*i);
    } else if (const auto* d = value.as<double>()) {
      text_ += 'G' + bytes_of(__builtin_bswap64(std::bit_cast<std::uint64_t>(*d)));
    } else if (const auto* text = value.as<std::string>()) {
      add_text(*text);
    } else if (const auto* tensor = value.as<StoredTensor>()) {
      add_tensor(*tensor);
    } else if (const auto* list = value.as<TorchList>()) {
      text_ += "](";
      for (const TorchValue& item : *list) add(item);
      text_ += 'e';
    } else if (const auto* dict = value.as<TorchDict>()) {
      text_ += "}(";
      for (const TorchItem& item : *dict) add_item(item);
      text_ += 'u';
    } else {
      text_ += 'N';
    }
  }

  void add_item(const TorchItem& item) {
    if (const auto* number = std::get_if<std::int64_t>(&item.key)) {
      add_integer(*number);
    } else {
      last_key_ = std::get<std::string>(item.key);
      add_text(last_key_);
    }
    add(item.value);
  }

  void add_integer(std::int64_t number) {
    const bool is_short = number == static_cast<std::int32_t>(number);
    text_ += is_short ? 'J' + bytes_of(static_cast<std::int32_t>(number)) : "\x8a\x08" + bytes_of(number);
  }

  void add_text(const std::string& text) {
    if (text.size() > std::numeric_limits<std::uint32_t>::max())
      user_error(where_ + ": a text of more than 4 GiB");
    text_ += 'X' + bytes_of(static_cast<std::uint32_t>(text.size())) + text;
  }

  void add_integers(const std::vector<std::int64_t>& numbers) {
    text_ += '(';
    for (const std::int64_t number : numbers) add_integer(number);
    text_ += 't';
  }

  /// _rebuild_tensor_v2(storage, 0, sizes, strides, False, OrderedDict())
  void add_tensor(const StoredTensor& tensor) {
    const auto* type = find_torch_storage(&TorchStorageType::dtype, tensor.dtype);
    if (!type) {
      user_error(fmt::format("{}: tensor {} is of type {}, of which PyTorch has no storage", where_,
                             in_quotes(last_key_), in_quotes(tensor.dtype)),
                 "leave that tensor out, or keep the file as safetensors");
    }
    text_ += "ctorch._utils\n_rebuild_tensor_v2\n((";
    add_text("storage");
    text_ += fmt::format("ctorch\n{}\n", type->name);
    add_text(std::to_string(tensors_.size()));
    add_text("cpu");
    add_integer(tensor.numel());
    text_ += "tQ";
    add_integer(0);
    add_integers(tensor.shape);
    std::vector<std::int64_t> strides(tensor.shape.size());
    std::int64_t stride = 1;
    for (std::size_t d = strides.size(); d-- > 0;) {
      strides[d] = stride;
      stride *= std::max<std::int64_t>(tensor.shape[d], 1);
    }
    add_integers(strides);
    text_ +=
        "\x89"
        "ccollections\nOrderedDict\n)RtR";
    tensors_.push_back(&tensor);
  }

  std::string where_, text_, last_key_;
  std::vector<const StoredTensor*> tensors_;
};

}  // namespace

void write_torch_file(const fs::path& path, const TorchValue& root) {
  Pickler pickler(fmt::format("'{}'", path.string()));
  const std::string pickle = pickler.pickle(root);
  const auto text = [](std::string_view content) { return std::as_bytes(std::span(content)); };
  AtomicFile file(path);
  ZipWriter archive(file);
  archive.add("archive/data.pkl", text(pickle));
  archive.add("archive/byteorder", text("little"));
  for (std::size_t i = 0; i < pickler.tensors().size(); ++i)
    archive.add(fmt::format("archive/data/{}", i), pickler.tensors()[i]->read());
  archive.add("archive/version", text("3\n"));
  archive.finish();
  file.commit();
}

}  // namespace damc
