/// The bf16 kernel of packed.h by tiles (tiles.h): a panel's steps, pairs of numbers of 16 columns, are a tile's rows.
///
/// Four tiles of sums, 32 rows by 32 columns, take two tiles of a and two of the panel at a time, 32 numbers along k. Rows
/// and columns of c that are no whole tile have tiles as small; what is left along k is multiplied from copies that are
/// filled up with zeros, so that nothing is read beyond a row or a panel.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tensor/bf16.h"
#include "tensor/cpu/tiles.h"

namespace damc {

inline constexpr std::int64_t kTileRows = 16, kTileColumns = 16, kTileDepth = 32;

template <class Tiles>
class TileProduct {
 public:
  /// Of panels [steps along k, columns, 2] of `wide` columns, one or two tiles'; a has rows of lda, c of ldc.
  TileProduct(std::int64_t k, std::int64_t lda, const bf16* panel, std::int64_t wide, std::int64_t ldc)
      : k_(k), whole_(k / kTileDepth * kTileDepth), lda_(lda), panel_(panel), wide_(wide), ldc_(ldc) {
    std::memcpy(panel_end_, panel + whole_ * wide, static_cast<std::size_t>((k - whole_ + 1) / 2 * wide) * 4);
  }

  /// c [rows, columns] = a [rows, k] panel, of whose columns the first `columns` belong to c; the others may be less than
  /// a tile.
  void operator()(std::int64_t rows, const bf16* a, float* c, std::int64_t columns) {
    std::int64_t before = 0;
    for (std::int64_t i = 0; i < rows; i += 2 * kTileRows, before = rows_) {
      rows_ = std::min(rows - i, 2 * kTileRows);
      lower_ = rows_ > kTileRows;
      right_ = columns > kTileColumns;
      if (rows_ != before) tiles_.configure(shapes(rows_, columns));
      block(a + i * lda_, c + i * ldc_);
    }
  }

 private:
  static constexpr int kSums = 0;       // upper rows, left and right columns, then lower rows
  static constexpr int kA = 4, kB = 6;  // of a: upper and lower rows; of the panel: left and right columns

  static TileShapes shapes(std::int64_t rows, std::int64_t columns) {
    TileShapes all;
    const auto put = [&](int tile, std::int64_t tile_rows, std::int64_t numbers) {
      if (tile_rows <= 0 || numbers <= 0) return;
      all.rows[tile] = static_cast<std::uint8_t>(std::min(tile_rows, kTileRows));
      all.bytes[tile] = static_cast<std::uint16_t>(4 * std::min(numbers, kTileColumns));
    };
    for (int i : {0, 1}) {
      for (int j : {0, 1}) put(kSums + 2 * i + j, rows - i * kTileRows, columns - j * kTileColumns);
      put(kA + i, rows - i * kTileRows, kTileDepth / 2);
      put(kB + i, kTileDepth / 2, columns - i * kTileColumns);
    }
    return all;
  }

  /// The next rows_ rows.
  void block(const bf16* a, float* c) {
    tiles_.template zero<kSums>();
    if (right_) tiles_.template zero<kSums + 1>();
    if (lower_) tiles_.template zero<kSums + 2>();
    if (lower_ && right_) tiles_.template zero<kSums + 3>();
    for (std::int64_t i = 0; i < whole_; i += kTileDepth) step(a + i, lda_, panel_ + i * wide_);
    if (whole_ < k_) {
      for (std::int64_t r = 0; r < rows_; ++r) std::copy_n(a + r * lda_ + whole_, k_ - whole_, a_end_[r]);
      step(a_end_[0], kTileDepth, panel_end_);
    }
    const std::int64_t stride = ldc_ * 4;
    tiles_.template store<kSums>(c, stride);
    if (right_) tiles_.template store<kSums + 1>(c + kTileColumns, stride);
    if (lower_) tiles_.template store<kSums + 2>(c + kTileRows * ldc_, stride);
    if (lower_ && right_) tiles_.template store<kSums + 3>(c + kTileRows * ldc_ + kTileColumns, stride);
  }

  /// kTileDepth numbers along k.
  void step(const bf16* a, std::int64_t lda, const bf16* b) {
    tiles_.template load<kA>(a, lda * 2);
    tiles_.template load<kB>(b, wide_ * 4);
    tiles_.template add_product<kSums, kA, kB>();
    if (right_) {
      tiles_.template load<kB + 1>(b + 2 * kTileColumns, wide_ * 4);
      tiles_.template add_product<kSums + 1, kA, kB + 1>();
    }
    if (!lower_) return;
    tiles_.template load<kA + 1>(a + kTileRows * lda, lda * 2);
    tiles_.template add_product<kSums + 2, kA + 1, kB>();
    if (right_) tiles_.template add_product<kSums + 3, kA + 1, kB + 1>();
  }

  std::int64_t k_, whole_, lda_;
  const bf16* panel_;
  std::int64_t wide_, ldc_, rows_ = 0;
  bool lower_ = false, right_ = false;  // whether there are lower rows, right columns
  alignas(64) bf16 a_end_[2 * kTileRows][kTileDepth] = {};
  alignas(64) bf16 panel_end_[kTileDepth * 2 * kTileColumns] = {};
  Tiles tiles_;
};

}  // namespace damc
