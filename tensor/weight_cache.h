/// Weights in the form that a product reads best, kept while their owner promises not to change them.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>

#include "tensor/tensor.h"

namespace damc {

class WeightCache {
 public:
  /// What a weight is prepared as.
  struct Form {
    enum Kind : std::uint8_t {
      tf32,
      bf16,
      matrix,
      pairs,
      planes
    };  ///< rounded, packed, transformed and packed
    Kind kind;
    std::int64_t rows = 0, columns = 0;  ///< of what is packed,
    bool transposed = false;             ///< and whether it is the weight's transpose
    int count = 1;                       ///< planes
    Dtype dtype = Dtype::f32;            ///< of packed numbers, or any for those of the weight's own
    auto operator<=>(const Form&) const = default;
  };

  /// Pins nest; the last unpin forgets the forms. A pinned weight's storage is kept, so that no other can take its
  /// address.
  void pin(const Tensor& weight) {
    Entry& entry = entries_[weight.raw()];
    if (entry.pins++ == 0) entry.weight = weight;
  }
  void unpin(const Tensor& weight) {
    const auto entry = entries_.find(weight.raw());
    if (--entry->second.pins == 0) entries_.erase(entry);
  }

  /// Whether the weight that starts where `view` starts is pinned.
  bool is_pinned(const Tensor& view) const { return entries_.contains(view.raw()); }

  /// make(), a shared_ptr, of a pinned weight; made once.
  template <class F>
  auto get(const Tensor& view, const Form& form, const F& make) -> decltype(make()) {
    std::shared_ptr<const void>& prepared = entries_.at(view.raw()).forms[form];
    if (!prepared) prepared = make();
    return std::static_pointer_cast<typename decltype(make())::element_type>(prepared);
  }

 private:
  struct Entry {
    Tensor weight;
    int pins = 0;
    std::map<Form, std::shared_ptr<const void>> forms;
  };
  std::map<const void*, Entry> entries_;
};

}  // namespace damc
