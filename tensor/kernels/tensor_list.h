/// Several tensors in one loop: their elements cut into pieces, none of which lies in two tensors.
#pragma once

#include <cstdint>

#include "tensor/host_device.h"

namespace damc {

/// Tensors that one loop takes. What its kernel is told of them travels with the launch, which has room for 4 KiB on
/// old drivers and 32 KiB on present ones.
inline constexpr int kMostTensors = 128;

/// Elements of a piece: a block of threads takes one, so that what it works out per tensor is worth it.
inline constexpr std::int64_t kPieceElements = 2048;

/// Most terms that a sum adds up one by one in its own type; sums of such runs are f64, lest an f32 sum of many terms lose
/// digits.
inline constexpr std::int64_t kTermsInARow = 32;

class TensorList {
 public:
  /// Appends a tensor of n elements; at most kMostTensors.
  void add(std::int64_t n) {
    length_[count_] = n;
    pieces_[count_ + 1] = pieces_[count_] + (n + kPieceElements - 1) / kPieceElements;
    ++count_;
  }

  /// Elements [first, last) of one tensor.
  struct Piece {
    int tensor;
    std::int64_t first, last;
  };
  DAMC_HD std::int64_t pieces() const { return pieces_[count_]; }
  /// Piece q of pieces(). Tensors without elements have none.
  DAMC_HD Piece piece(std::int64_t q) const {
    int low = 0, high = count_ - 1;  // the last tensor that starts at q or before
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (pieces_[middle] <= q) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    const std::int64_t first = (q - pieces_[low]) * kPieceElements, end = first + kPieceElements;
    return {low, first, end < length_[low] ? end : length_[low]};
  }

 private:
  int count_ = 0;
  std::int64_t length_[kMostTensors] = {};
  std::int64_t pieces_[kMostTensors + 1] = {};  // before each tensor, and of all
};

}  // namespace damc
