/// Weights in the form that a product reads best, kept while their owner promises not to change them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

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
    bool transposed = false;   ///< whether the weight's transpose is packed
    int count = 1;             ///< planes
    Dtype dtype = Dtype::f32;  ///< of packed numbers, or any for those of the weight's own
    bool operator==(const Form&) const = default;
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

  /// make(), a shared_ptr, of a view that starts where a pinned weight does; made once for all of the view's shape and strides.
  template <class F>
  auto get(const Tensor& view, const Form& form, const F& make) -> decltype(make()) {
    std::vector<Prepared>& all = entries_.at(view.raw()).prepared;
    auto found = std::ranges::find_if(all, [&](const Prepared& one) {
      return one.form == form && one.shape == view.shape() && one.strides == view.strides();
    });
    if (found == all.end()) found = all.insert(found, {form, view.shape(), view.strides(), make()});
    return std::static_pointer_cast<typename decltype(make())::element_type>(found->value);
  }

 private:
  struct Prepared {
    Form form;
    Shape shape, strides;
    std::shared_ptr<const void> value;
  };
  struct Entry {
    Tensor weight;
    int pins = 0;
    std::vector<Prepared> prepared;
  };
  std::map<const void*, Entry> entries_;
};

}  // namespace damc
