/// Whether tiles compute: the kernel by tiles beside the one without, on small products.
#pragma once

#include <cstring>

#include "tensor/cpu/packed.h"
#include "tensor/cpu/tile_product.h"

namespace damc {

/// For integers whose sums are exact in f32 in any order, whole tiles and parts of them along rows, columns and k.
template <class Tiles>
bool tiles_agree() {
  constexpr std::int64_t most = 96, wide = 2 * kTileColumns;
  bf16 a[most * most], panel[most * wide];
  const auto fill = [](bf16* numbers, std::int64_t count, std::int64_t factor) {
    for (std::int64_t i = 0; i < count; ++i) numbers[i] = bf16(static_cast<float>(i * factor % 17 - 8));
  };
  fill(a, most * most, 7);
  fill(panel, most * wide, 5);
  for (const auto& [rows, k, columns] : {std::tuple{96, 96, 32}, {45, 75, 25}, {3, 7, 5}}) {
    for (std::int64_t j = 0; j < wide && k % 2 != 0; ++j) panel[k / 2 * 2 * wide + 2 * j + 1] = bf16(0.0f);
    float plain[most * wide] = {}, tiled[most * wide] = {};
    packed::rows_times_panel<wide / PackedMatrices<bf16>::kLanes>(rows, k, a, most, panel, plain, wide,
                                                                  columns);
    TileProduct<Tiles>(k, most, panel, wide, wide)(rows, a, tiled, columns);
    if (std::memcmp(plain, tiled, sizeof(plain)) != 0) return false;
  }
  return true;
}

}  // namespace damc
