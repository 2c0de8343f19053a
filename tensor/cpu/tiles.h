/// The tile registers of a processor with AMX: eight, of at most 16 rows of 64 bytes, and the one product that bf16 needs.
///
/// A kernel takes its tiles as a type with the members of AmxTiles, so that tests can run it on tiles of their own
/// (tests/emulated_tiles.h). A processor that has tiles gives the same bits as these.
#pragma once

#include <cstdint>

namespace damc {

/// The operand of LDTILECFG. A tile is in use if it has rows and bytes, at most 16 and 64; else both are 0.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {};  ///< of a row; the last 8 are reserved
  std::uint8_t rows[16] = {};    ///< the last 8 are reserved
};
static_assert(sizeof(TileShapes) == 64);

#ifdef __x86_64__
/// The tiles of the calling thread, given back at the end: until then the system saves 8 KiB more with it. Instructions
/// instead of intrinsics: GCC 12's do not say that a tile load reads memory, so that writes before it may be left out.
class AmxTiles {
 public:
  AmxTiles() = default;
  ~AmxTiles() { asm volatile("tilerelease"); }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  /// Gives the tiles their shapes; all are 0 then.
  void configure(const TileShapes& shapes) { asm volatile("ldtilecfg %0" : : "m"(shapes)); }
  template <int tile>
  void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(tile));
  }
  /// The tile's rows lie `stride` bytes apart.
  template <int tile>
  void load(const void* from, std::int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(tile) : "memory");
  }
  template <int tile>
  void store(void* to, std::int64_t stride) const {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(tile) : "memory");
  }
  /// f32 sums [m, n] += a [m, 2 k] b, of bf16; b [k, n, 2] holds the pairs of rows that are 2 k and 2 k + 1. Its sums of
  /// even and of odd rows are apart until the end; subnormal numbers are 0. MXCSR has no say.
  template <int sums, int a, int b>
  void add_product() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(sums), "i"(a), "i"(b));
  }
};
#endif

}  // namespace damc
