/// AMX's tiles (tensor/cpu/tiles.h) in plain C++, as Intel documents the instructions LDTILECFG, TILEZERO, TILELOADD,
/// TILESTORED, TDPBF16PS and TILERELEASE: the values to the last bit, and an Error where a processor has an exception.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "tensor/bf16.h"
#include "tensor/cpu/tiles.h"
#include "tensor/error.h"

namespace damc {

class EmulatedTiles {
 public:
  void configure(const TileShapes& shapes) {
    ENSURE(shapes.palette == 1 && shapes.start_row == 0, "tiles: palette {}, first row {}", shapes.palette,
           shapes.start_row);
    for (const std::uint8_t byte : shapes.reserved) ENSURE(byte == 0, "tiles: reserved bytes are {}", byte);
    for (int t = 0; t < 16; ++t) {
      const int rows = shapes.rows[t], bytes = shapes.bytes[t];
      ENSURE(rows <= 16 && bytes <= 64 && (rows == 0) == (bytes == 0) && (t < 8 || rows == 0),
             "tiles: number {} of {} rows of {} bytes", t, rows, bytes);
    }
    shapes_ = shapes;
    std::memset(tiles_, 0, sizeof(tiles_));
  }
  void release() { shapes_ = TileShapes{}; }

  void zero(int tile) { std::memset(used(tile), 0, sizeof(tiles_[0])); }
  void load(int tile, const void* from, std::int64_t stride) {
    zero(tile);  // rows and bytes beyond the shape are 0
    for (int r = 0; r < shapes_.rows[tile]; ++r)
      std::memcpy(tiles_[tile][r], static_cast<const char*>(from) + r * stride, shapes_.bytes[tile]);
  }
  void store(int tile, void* to, std::int64_t stride) {
    used(tile);
    for (int r = 0; r < shapes_.rows[tile]; ++r)
      std::memcpy(static_cast<char*>(to) + r * stride, tiles_[tile][r], shapes_.bytes[tile]);
  }

  void add_product(int sums, int a, int b) {
    for (const int tile : {sums, a, b}) {
      used(tile);
      ENSURE(shapes_.bytes[tile] % 4 == 0, "tiles: rows of {} bytes in a product", shapes_.bytes[tile]);
    }
    ENSURE(sums != a && sums != b && a != b, "tiles: {}, {} and {} in a product", sums, a, b);
    const int rows = shapes_.rows[sums], pairs = shapes_.bytes[a] / 4, columns = shapes_.bytes[sums] / 4;
    ENSURE(shapes_.rows[a] == rows && shapes_.rows[b] == pairs && shapes_.bytes[b] == 4 * columns,
           "tiles: a product of {} x {} and {} x {} pairs for {} x {} sums", shapes_.rows[a], pairs,
           shapes_.rows[b], shapes_.bytes[b] / 4, rows, columns);
    for (int m = 0; m < rows; ++m) {
      for (int n = 0; n < columns; ++n) {
        float apart[2] = {};
        for (int k = 0; k < pairs; ++k) {
          for (int odd : {0, 1}) {
            apart[odd] =
                flushed(std::fma(at<bf16>(a, m, 2 * k + odd), at<bf16>(b, k, 2 * n + odd), apart[odd]));
          }
        }
        const float sum = flushed(at<float>(sums, m, n) + flushed(apart[0] + apart[1]));
        std::memcpy(tiles_[sums][m] + 4 * n, &sum, sizeof(float));
      }
    }
  }

  template <int tile>
  void zero() {
    zero(tile);
  }
  template <int tile>
  void load(const void* from, std::int64_t stride) {
    load(tile, from, stride);
  }
  template <int tile>
  void store(void* to, std::int64_t stride) {
    store(tile, to, stride);
  }
  template <int sums, int a, int b>
  void add_product() {
    add_product(sums, a, b);
  }

 private:
  /// 0 of the same sign for a subnormal number.
  static float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

  template <class T>
  float at(int tile, int row, int index) const {
    T value;
    std::memcpy(&value, tiles_[tile][row] + static_cast<std::size_t>(index) * sizeof(T), sizeof(T));
    return flushed(float(value));
  }
  char* used(int tile) {
    ENSURE(tile >= 0 && tile < 8 && shapes_.rows[tile] > 0, "tiles: number {} is not in use", tile);
    return tiles_[tile][0];
  }

  TileShapes shapes_;
  char tiles_[8][16][64] = {};
};

}  // namespace damc
