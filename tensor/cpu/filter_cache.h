/// Filters in the form that a convolution multiplies by, kept while their owner promises not to change them.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "tensor/tensor.h"

namespace damc {

class FilterCache {
 public:
  /// Calls nest; the last release forgets everything.
  void hold() { ++holds_; }
  void release() {
    if (--holds_ == 0) prepared_.clear();
  }

  /// make() of a filter, in its `form`; remembered between hold and release. A remembered filter's storage is
  /// kept, so that no other can take its address.
  template <class F>
  auto get(const Tensor& filter, int form, const F& make) -> decltype(make()) {
    if (holds_ == 0) return make();
    Entry& entry = prepared_[{filter.raw(), form}];
    if (!entry.prepared) entry = {filter, make()};
    return std::static_pointer_cast<typename decltype(make())::element_type>(entry.prepared);
  }

 private:
  struct Entry {
    Tensor filter;
    std::shared_ptr<const void> prepared;
  };
  std::map<std::pair<const void*, int>, Entry> prepared_;
  int holds_ = 0;
};

}  // namespace damc
