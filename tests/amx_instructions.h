/// The kernel as it is compiled for AMX (AmxTiles of tensor/cpu/tiles.h) on any processor of x86-64: where one has no such
/// instructions it traps, and the trap does what they say with emulated tiles.
#pragma once

#include <cstdint>

#include "tensor/bf16.h"

namespace damc {

/// While it lives, AMX's instructions run. One at a time.
class AmxInstructions {
 public:
  AmxInstructions();
  ~AmxInstructions();
  AmxInstructions(const AmxInstructions&) = delete;
  AmxInstructions& operator=(const AmxInstructions&) = delete;

  /// False for another kind of processor or compiler, and where tiles are there but refused by the system.
  bool can_run() const;
};

/// TileProduct<AmxTiles>
void multiply_by_instructions(std::int64_t rows, std::int64_t k, const bf16* a, std::int64_t lda,
                              const bf16* panel, std::int64_t wide, float* c, std::int64_t ldc,
                              std::int64_t columns);

}  // namespace damc
