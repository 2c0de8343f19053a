/// Whether tiles compute: the kernel by tiles beside the one without, on small products.
#pragma once

#include <tuple>
#include <vector>

#include "tensor/cpu/packed.h"
#include "tensor/cpu/tile_product.h"

namespace damc {

/// For integers whose sums are exact in f32 in any order, whole tiles and parts of them along rows, columns and k. Takes
/// little of the stack: it comes before stacks are looked at.
template <class Tiles>
bool tiles_agree() {
  constexpr std::int64_t most = 96, wide = 2 * kTileColumns;
  const auto integers = [](std::int64_t count, std::int64_t factor) {
    std::vector<bf16> numbers;
    for (std::int64_t i = 0; i < count; ++i) numbers.push_back(bf16(static_cast<float>(i * factor % 17 - 8)));
    return numbers;
  };
  const std::vector<bf16> a = integers(most * most, 7);
  std::vector<bf16> panel = integers(most * wide, 5);
  for (const auto& [rows, k, columns] : {std::tuple{96, 96, 32}, {45, 75, 25}, {3, 7, 5}}) {
    for (std::int64_t j = 0; j < wide && k % 2 != 0; ++j)
      panel[static_cast<std::size_t>(k / 2 * 2 * wide + 2 * j + 1)] = bf16(0.0f);
    std::vector<float> plain(most * wide), tiled(most * wide);
    packed::rows_times_panel<wide / PackedMatrices<bf16>::kLanes>(rows, k, a.data(), most, panel.data(),
                                                                  plain.data(), wide, columns);
    TileProduct<Tiles>(k, most, panel.data(), wide, wide)(rows, a.data(), tiled.data(), columns);
    if (plain != tiled) return false;
  }
  return true;
}

}  // namespace damc
