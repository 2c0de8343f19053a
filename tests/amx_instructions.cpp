#include "tests/amx_instructions.h"

#include <cstring>

#include "tensor/cpu/amx.h"
#include "tensor/cpu/tile_product.h"
#include "tests/emulated_tiles.h"

#ifdef DAMC_HAS_AMX
#include <signal.h>
#include <ucontext.h>

namespace damc {
namespace {

thread_local EmulatedTiles emulated;
struct sigaction before;

/// One instruction with a three-byte VEX prefix: C4, RXB and map, W vvvv L pp, opcode, ModRM, SIB, displacement.
class Instruction {
 public:
  Instruction(const std::uint8_t* code, const greg_t* registers) : code_(code), registers_(registers) {
    ENSURE(code[0] == 0xC4 && (code[1] & 0x1F) == 2 && (code[2] & 0x84) == 0, "trap: no AMX instruction");
    if (mode() == 3) return;
    const int base = code[4] & 7, sib = code[5];
    length_ = base == 4 ? 6 : 5;
    const int of_base = base == 4 ? sib & 7 : base;
    const bool no_base = mode() == 0 && of_base == 5;
    if (!no_base) address_ = at(of_base, 0x20);
    if (base == 4 && ((sib >> 3 & 7) != 4 || !(code[1] & 0x40)))
      index_ = at(sib >> 3 & 7, 0x40) << (sib >> 6);
    if (mode() == 1) {
      address_ += static_cast<std::int8_t>(code[length_++]);
    } else if (mode() == 2 || no_base) {
      std::int32_t displacement;
      std::memcpy(&displacement, code + length_, 4);
      address_ += displacement;
      length_ += 4;
    }
    if (no_base && base == 5)
      address_ += reinterpret_cast<std::int64_t>(code + length_);  // relative to the next
  }

  int length() const { return length_; }
  void run() const {
    void* address = reinterpret_cast<void*>(address_);
    const int r = code_[4] >> 3 & 7, m = code_[4] & 7, v = ~(code_[2] >> 3) & 15;
    switch ((code_[2] & 3) << 8 | code_[3]) {
      case 0x049:  // LDTILECFG, or TILERELEASE
        if (mode() == 3) {
          emulated.release();
        } else {
          TileShapes shapes;
          std::memcpy(&shapes, reinterpret_cast<void*>(address_ + index_), sizeof(shapes));
          emulated.configure(shapes);
        }
        return;
      case 0x349:
        return emulated.zero(r);
      case 0x34B:
        return emulated.load(r, address, index_);
      case 0x24B:
        return emulated.store(r, address, index_);
      case 0x25C:
        return emulated.add_product(r, m, v);
      default:
        throw Error("trap: no AMX instruction");
    }
  }

 private:
  int mode() const { return code_[4] >> 6; }
  /// A general register; the inverted `bit` of the prefix is the fourth of its number.
  std::int64_t at(int number, int bit) const {
    static constexpr int order[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return registers_[order[number | (code_[1] & bit ? 0 : 8)]];
  }

  const std::uint8_t* code_;
  const greg_t* registers_;
  int length_ = 5;
  std::int64_t address_ = 0, index_ = 0;
};

void trap(int, siginfo_t*, void* context) {
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const Instruction instruction(reinterpret_cast<const std::uint8_t*>(registers[REG_RIP]), registers);
  instruction.run();
  registers[REG_RIP] += instruction.length();
}

}  // namespace

AmxInstructions::AmxInstructions() {
  struct sigaction action = {};
  action.sa_sigaction = trap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, &before);
}
AmxInstructions::~AmxInstructions() { sigaction(SIGILL, &before, nullptr); }
bool AmxInstructions::can_run() const { return !processor_has_tiles() || request_tiles(); }

void multiply_by_instructions(std::int64_t rows, std::int64_t k, const bf16* a, std::int64_t lda,
                              const bf16* panel, std::int64_t wide, float* c, std::int64_t ldc,
                              std::int64_t columns) {
  TileProduct<AmxTiles>(k, lda, panel, wide, ldc)(rows, a, c, columns);
}

}  // namespace damc
#else
namespace damc {

AmxInstructions::AmxInstructions() = default;
AmxInstructions::~AmxInstructions() = default;
bool AmxInstructions::can_run() const { return false; }
void multiply_by_instructions(std::int64_t, std::int64_t, const bf16*, std::int64_t, const bf16*,
                              std::int64_t, float*, std::int64_t, std::int64_t) {}

}  // namespace damc
#endif
