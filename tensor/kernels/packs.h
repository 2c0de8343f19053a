/// Packs: neighbouring elements of a row that one thread of a GPU takes together, so that it loads and stores 16
/// bytes at a time, the widest access there is.
///
/// A row (bodies.h) that may be run so has a constant kPack, the elements of a pack, and operands(visit), which names
/// the pointers whose element c the row uses for its own element c: visit.read(p..), visit.write(p..), visit.update(p..).
/// Anything else that it reads must be the same for all elements. To run a pack, its operands are loaded into registers,
/// the row's pointers are redirected there, the row runs as it is written, and what it wrote is stored.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "tensor/host_device.h"

namespace damc {

/// Bytes of an access; addresses have to be multiples of it.
inline constexpr int kAccessBytes = 16;

/// Elements of a pack of operands of these types: one access of the narrowest.
template <class... T>
inline constexpr int kPackElements = kAccessBytes / static_cast<int>(std::min({sizeof(T)...}));

/// Elements of a row that may be taken together; 1 where the row says nothing.
template <class Row>
inline constexpr int kPackOf = 1;
template <class Row>
requires requires { Row::kPack; }
inline constexpr int kPackOf<Row> = Row::kPack;

namespace pack {

inline constexpr int kMostOperands = 8;  // of a row

/// N elements as they are loaded and stored.
template <class T, int N>
struct alignas(kAccessBytes) Elements {
  T element[N];
};

/// The elements of a pack of one operand while its row runs; registers, once everything is inlined.
template <int N>
struct alignas(kAccessBytes) Lanes {
  std::byte bytes[N * sizeof(double)];
};

/// to[0 .. N) = from[0 .. N): by whole accesses, if N elements make some; both addresses are multiples of one then.
template <int N, class T>
DAMC_HD void move(T* to, const T* from) {
  if constexpr (N * sizeof(T) % kAccessBytes == 0) {
    *reinterpret_cast<Elements<T, N>*>(to) = *reinterpret_cast<const Elements<T, N>*>(from);
  } else {
    for (int j = 0; j < N; ++j) to[j] = from[j];
  }
}

/// Notes whether all operands start at a multiple of 16 bytes.
struct Alignment {
  std::uintptr_t addresses = 0;

  template <class... T>
  DAMC_HD void read(T*... p) {
    ((addresses |= reinterpret_cast<std::uintptr_t>(p)), ...);
  }
  template <class... T>
  DAMC_HD void write(T*... p) {
    read(p...);
  }
  template <class... T>
  DAMC_HD void update(T*... p) {
    read(p...);
  }
};

/// Loads the pack at element c of each operand and redirects the row's pointers to it.
template <int N>
struct Load {
  Lanes<N>* lanes;
  std::int64_t c;

  template <class... T>
  DAMC_HD void read(T*&... p) {
    (load(p), ...);
  }
  template <class... T>
  DAMC_HD void write(T*&... p) {
    (redirect(p), ...);
  }
  template <class... T>
  DAMC_HD void update(T*&... p) {
    (load(p), ...);
  }

 private:
  template <class T>
  DAMC_HD std::remove_const_t<T>* redirect(T*& p) {
    auto* here = reinterpret_cast<std::remove_const_t<T>*>(lanes++->bytes);
    p = here;
    return here;
  }
  template <class T>
  DAMC_HD void load(T*& p) {
    const T* from = p;
    move<N>(redirect(p), from + c);
  }
};

/// Stores what the row left there.
template <int N>
struct Store {
  const Lanes<N>* lanes;
  std::int64_t c;

  template <class... T>
  DAMC_HD void read(T*...) {
    lanes += sizeof...(T);
  }
  template <class... T>
  DAMC_HD void write(T*... p) {
    (move<N>(p + c, reinterpret_cast<const T*>(lanes++->bytes)), ...);
  }
  template <class... T>
  DAMC_HD void update(T*... p) {
    write(p...);
  }
};

}  // namespace pack

/// Whether packs of this row may be loaded and stored as such.
template <class Row>
DAMC_HD bool aligned(Row row) {
  pack::Alignment alignment;
  row.operands(alignment);
  return alignment.addresses % kAccessBytes == 0;
}

/// row(c) for the elements [first, last), at most a pack: by whole accesses if they make one and the row starts well.
/// `first` is a multiple of what is taken at a time.
template <class Row>
DAMC_HD void run_pack(const Row& row, std::int64_t first, std::int64_t last) {
  constexpr int n = kPackOf<Row>;
  if constexpr (n > 1) {
    if (last - first == n && aligned(row)) {
      pack::Lanes<n> lanes[pack::kMostOperands];
      pack::Load<n> load{lanes, first};
      Row redirected = row;
      redirected.operands(load);
      for (int j = 0; j < n; ++j) redirected(j);
      pack::Store<n> store{lanes, first};
      Row original = row;
      original.operands(store);
      return;
    }
  }
  DAMC_ROLLED
  for (std::int64_t c = first; c < last; ++c) row(c);
}

}  // namespace damc
