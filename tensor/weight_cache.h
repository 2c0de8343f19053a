/// Weights in the form that a product reads best, kept while their owner promises not to change them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <tuple>

#include "tensor/tensor.h"

namespace damc {

class WeightCache {
 public:
  /// What a prepared form depends on beside the weight: number of matrices, rows, columns, and whether they
  /// are the weight's or their transpose.
  using Form = std::tuple<std::int64_t, std::int64_t, std::int64_t, bool>;

  /// Holds nest; the last release forgets the forms. A held weight's storage is kept, so that no other can
  /// take its address.
  void hold(const Tensor& weight) {
    Entry& entry = entries_[weight.raw()];
    if (entry.holds++ == 0) entry.weight = weight;
  }
  void release(const Tensor& weight) {
    const auto entry = entries_.find(weight.raw());
    if (--entry->second.holds == 0) entries_.erase(entry);
  }

  /// Whether the weight that starts where `view` starts is held.
  bool holds(const Tensor& view) const { return entries_.contains(view.raw()); }

  /// make(), a shared_ptr, of a held weight; made once.
  template <class F>
  auto get(const Tensor& view, const Form& form, const F& make) -> decltype(make()) {
    std::shared_ptr<const void>& prepared = entries_.at(view.raw()).forms[form];
    if (!prepared) prepared = make();
    return std::static_pointer_cast<typename decltype(make())::element_type>(prepared);
  }

 private:
  struct Entry {
    Tensor weight;
    int holds = 0;
    std::map<Form, std::shared_ptr<const void>> forms;
  };
  std::map<const void*, Entry> entries_;
};

}  // namespace damc
