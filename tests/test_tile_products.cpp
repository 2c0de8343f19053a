/// The CPU's bf16 kernel by AMX's tiles, on emulated ones: sums against f64 and against the kernel without tiles, what is
/// read and written, and the emulation against the documented instructions.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "tensor/cpu/amx.h"
#include "tensor/cpu/tile_check.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/amx_instructions.h"
#include "tests/emulated_tiles.h"
#include "tests/messages.h"

using namespace damc;

namespace {

struct Size {
  std::int64_t m, n, k;
};
const Size sizes[] = {{1, 1, 1},    {3, 5, 2},   {16, 16, 32}, {17, 16, 33},  {15, 17, 31}, {32, 32, 64},
                      {33, 31, 96}, {48, 8, 27}, {64, 32, 1},  {65, 25, 130}, {5, 32, 63},  {31, 1, 200}};

/// Numbers that end, and whose page begins, beside memory that must not be touched.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::int64_t count)
      : count_(count), page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    bytes_ = (static_cast<std::size_t>(count) * sizeof(T) + page_ - 1) / page_ * page_ + 2 * page_;
    mapped_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(mapped_ != MAP_FAILED);
    REQUIRE(mprotect(mapped_ + page_, bytes_ - 2 * page_, PROT_READ | PROT_WRITE) == 0);
  }
  ~Guarded() { munmap(mapped_, bytes_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* begin() const { return reinterpret_cast<T*>(mapped_ + bytes_ - page_) - count_; }
  T* end() const { return begin() + count_; }
  T& operator[](std::int64_t i) const { return begin()[i]; }

 private:
  std::int64_t count_;
  std::size_t page_, bytes_ = 0;
  char* mapped_ = nullptr;
};

/// a [m, k] with rows of k + gap and one panel of n columns.
struct Factors2 {
  Factors2(const Size& s, std::int64_t gap, const std::vector<bf16>& values)
      : size(s),
        wide(s.n > kTileColumns ? 2 * kTileColumns : kTileColumns),
        lda(s.k + gap),
        a((s.m - 1) * lda + s.k),
        panel((s.k + 1) / 2 * 2 * wide) {
    std::size_t next = 0;
    std::fill(a.begin(), a.end(), bf16(std::nanf("")));  // of the gaps nothing may be seen
    for (std::int64_t i = 0; i < s.m; ++i) {
      for (std::int64_t l = 0; l < s.k; ++l) a[i * lda + l] = values[next++ % values.size()];
    }
    std::fill(panel.begin(), panel.end(), bf16(0.0f));
    for (std::int64_t l = 0; l < s.k; ++l) {
      for (std::int64_t j = 0; j < s.n; ++j)
        panel[(l / 2 * wide + j) * 2 + l % 2] = values[next++ % values.size()];
    }
  }
  float b(std::int64_t l, std::int64_t j) const { return panel[(l / 2 * wide + j) * 2 + l % 2]; }

  Size size;
  std::int64_t wide, lda;
  Guarded<bf16> a, panel;
};

constexpr float untouched = -12345.0f;

/// multiply(rows, k, a, lda, panel, wide, c, ldc, columns) into c with rows of n + gap; checks that the gaps stay as they are.
template <class Multiply>
std::vector<float> product(const Factors2& f, std::int64_t gap, const Multiply& multiply) {
  const auto& [m, n, k] = f.size;
  const std::int64_t ldc = n + gap;
  const Guarded<float> c((m - 1) * ldc + n);
  std::fill(c.begin(), c.end(), untouched);
  multiply(m, k, f.a.begin(), f.lda, f.panel.begin(), f.wide, c.begin(), ldc, n);
  std::vector<float> sums;
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < (i + 1 < m ? ldc : n); ++j) {
      if (j < n) {
        sums.push_back(c[i * ldc + j]);
      } else {
        REQUIRE(c[i * ldc + j] == untouched);
      }
    }
  }
  return sums;
}

void by_emulation(std::int64_t rows, std::int64_t k, const bf16* a, std::int64_t lda, const bf16* panel,
                  std::int64_t wide, float* c, std::int64_t ldc, std::int64_t columns) {
  TileProduct<EmulatedTiles>(k, lda, panel, wide, ldc)(rows, a, c, columns);
}

std::vector<bf16> normal_draws(std::int64_t count) {
  return Generator(3).normal({count}).to(Dtype::bf16).to_vector<bf16>();
}

std::vector<bf16> small_integers() {
  std::vector<bf16> values;
  for (int i = 0; i < 101; ++i) values.push_back(bf16(static_cast<float>(i * 31 % 17 - 8)));
  return values;
}

float bits(std::uint32_t pattern) { return std::bit_cast<float>(pattern); }

/// 1 x 1 sums of one pair.
float pair_product(float sum, float a0, float a1, float b0, float b1) {
  const bf16 a[2] = {bf16(a0), bf16(a1)}, b[2] = {bf16(b0), bf16(b1)};
  TileShapes shapes;
  for (int t : {0, 1, 2}) shapes.rows[t] = 1, shapes.bytes[t] = 4;
  EmulatedTiles tiles;
  tiles.configure(shapes);
  tiles.load(0, &sum, 4);
  tiles.load(1, a, 4);
  tiles.load(2, b, 4);
  tiles.add_product(0, 1, 2);
  tiles.store(0, &sum, 4);
  return sum;
}

}  // namespace

TEST_CASE("the kernel against sums in f64, within the rounding of f32 sums") {
  const auto values = normal_draws(4099);
  for (const Size& s : sizes) {
    CAPTURE(s.m);
    CAPTURE(s.n);
    CAPTURE(s.k);
    const Factors2 f(s, 3, values);
    const auto c = product(f, 5, by_emulation);
    for (std::int64_t i = 0; i < s.m; ++i) {
      for (std::int64_t j = 0; j < s.n; ++j) {
        double sum = 0.0, size = 0.0;
        for (std::int64_t l = 0; l < s.k; ++l) {
          const double term = static_cast<double>(float{f.a[i * f.lda + l]}) * static_cast<double>(f.b(l, j));
          sum += term;
          size += std::abs(term);
        }
        REQUIRE(std::abs(static_cast<double>(c[static_cast<std::size_t>(i * s.n + j)]) - sum) <=
                static_cast<double>(s.k + 1) * 0x1p-24 * size);
      }
    }
  }
}

TEST_CASE(
    "of small integers it gives what the kernel without tiles gives, with and without gaps between rows") {
  for (const Size& s : sizes) {
    CAPTURE(s.m);
    CAPTURE(s.n);
    CAPTURE(s.k);
    for (const std::int64_t gap : {0, 7}) {
      const Factors2 f(s, gap, small_integers());
      const auto plain = [](std::int64_t rows, std::int64_t k, const bf16* a, std::int64_t lda,
                            const bf16* panel, std::int64_t wide, float* c, std::int64_t ldc,
                            std::int64_t columns) {
        constexpr std::int64_t lanes = PackedMatrices<bf16>::kLanes;
        const auto multiply = [&]<int vectors>(std::integral_constant<int, vectors>) {
          packed::rows_times_panel<vectors>(rows, k, a, lda, panel, c, ldc, columns);
        };
        if (wide == kTileColumns) {
          multiply(std::integral_constant<int, kTileColumns / lanes>{});
        } else {
          multiply(std::integral_constant<int, 2 * kTileColumns / lanes>{});
        }
      };
      CHECK(product(f, gap, by_emulation) == product(f, gap, plain));
    }
  }
}

TEST_CASE("the panels are those of packed matrices") {
  if (PackedMatrices<bf16>::kPanel != 2 * kTileColumns) return;  // without AVX-512 they are narrower
  const std::int64_t m = 7, n = 40, k = 37;
  const auto a = normal_draws(m * k), b = normal_draws(k * n);
  HostPool pool;
  PackedMatrices<bf16> packed(pool, 1, k, n);
  packed.pack(0, Matrix<bf16>{b.data(), n});
  std::vector<float> wanted(m * n), c(m * n);
  gemm<bf16>(m, a.data(), k, 0, packed, wanted.data(), n, 0, [](auto...) {});
  for (std::int64_t p : {0, 1})
    by_emulation(m, k, a.data(), k, packed.panel(0, p), packed.columns(p), c.data() + 32 * p, n,
                 p == 0 ? 32 : 8);
  for (std::size_t i = 0; i < c.size(); ++i) REQUIRE(c[i] == doctest::Approx(wanted[i]).epsilon(1e-4));
}

TEST_CASE("infinities and NaN stay in their rows, of an odd depth too") {
  const Size s{18, 20, 35};
  const Factors2 f(s, 0, {bf16(0.5f)});
  f.a[f.lda] = bf16(std::numeric_limits<float>::infinity());         // the first of the second row
  f.a[3 * f.lda - 1] = bf16(std::nanf(""));                          // the last of the third
  f.a[18 * f.lda - 1] = bf16(std::numeric_limits<float>::lowest());  // the last of all: no infinity yet
  const auto c = product(f, 0, by_emulation);
  for (std::size_t i = 0; i < c.size(); ++i) {
    if (i / 20 == 1) {
      CHECK(c[i] == std::numeric_limits<float>::infinity());
    } else {
      CHECK(std::isnan(c[i]) == (i / 20 == 2));
    }
  }
}

TEST_CASE("the instructions give the bits of the emulation") {
  const AmxInstructions instructions;
  if (!instructions.can_run()) return;  // another processor than x86-64's
  const auto values = normal_draws(4099);
  for (const Size& s : sizes) {
    CAPTURE(s.m);
    CAPTURE(s.n);
    CAPTURE(s.k);
    const Factors2 f(s, 1, values);
    CHECK(product(f, 2, multiply_by_instructions) == product(f, 2, by_emulation));
  }
}

TEST_CASE("the emulation: pairs and tiles are summed apart, each time rounded to nearest even") {
  CHECK(pair_product(1.0f, 2.0f, 3.0f, 5.0f, 7.0f) == 32.0f);
  // 2^24 + (1 + 1), not (2^24 + 1) + 1
  CHECK(pair_product(0x1p24f, 1.0f, 1.0f, 1.0f, 1.0f) == 0x1p24f + 2.0f);
  CHECK(pair_product(0x1p24f, 1.0f, 0.0f, 1.0f, 0.0f) == 0x1p24f);
  CHECK(pair_product(0x1p24f, 3.0f, 0.0f, 1.0f, 0.0f) == 0x1p24f + 4.0f);
}

TEST_CASE("the emulation: subnormal numbers are 0, coming and going") {
  const float tiny = bits(0x00400000), least = bits(0x00800000);
  CHECK(pair_product(tiny, 0.0f, 0.0f, 0.0f, 0.0f) == 0.0f);
  CHECK(pair_product(0.0f, tiny, 0.0f, 0x1p100f, 0.0f) == 0.0f);
  CHECK(pair_product(0.0f, 0x1p100f, 0.0f, tiny, 0.0f) == 0.0f);
  CHECK(pair_product(0.0f, least, 0.0f, 1.0f, 0.0f) == least);
  CHECK(pair_product(0.0f, least, 0.0f, 0.5f, 0.0f) == 0.0f);
  CHECK(pair_product(-1.5f * least, least, 0.0f, 1.0f, 0.0f) == 0.0f);
}

TEST_CASE("the emulation refuses what a processor refuses") {
  EmulatedTiles tiles;
  const auto refuses = [&](const auto& change) {
    TileShapes shapes;
    for (int t : {0, 1, 2}) shapes.rows[t] = 4, shapes.bytes[t] = 16;
    change(shapes);
    return !error_of([&] {
              tiles.configure(shapes);
              tiles.add_product(0, 1, 2);
            }).empty();
  };
  CHECK_FALSE(refuses([](TileShapes&) {}));
  CHECK(refuses([](TileShapes& s) { s.palette = 0; }));
  CHECK(refuses([](TileShapes& s) { s.palette = 2; }));
  CHECK(refuses([](TileShapes& s) { s.reserved[13] = 1; }));
  CHECK(refuses([](TileShapes& s) { s.rows[3] = 17, s.bytes[3] = 4; }));
  CHECK(refuses([](TileShapes& s) { s.rows[3] = 1, s.bytes[3] = 65; }));
  CHECK(refuses([](TileShapes& s) { s.rows[3] = 1; }));
  CHECK(refuses([](TileShapes& s) { s.bytes[3] = 4; }));
  CHECK(refuses([](TileShapes& s) { s.rows[8] = 1, s.bytes[8] = 4; }));
  CHECK(refuses([](TileShapes& s) { s.rows[0] = 5; }));
  CHECK(refuses([](TileShapes& s) { s.rows[2] = 5; }));
  CHECK(refuses([](TileShapes& s) { s.bytes[2] = 20; }));
  CHECK(refuses([](TileShapes& s) { s.bytes[1] = 15; }));
  CHECK(refuses([](TileShapes& s) { s.rows[1] = 0, s.bytes[1] = 0; }));
  tiles.release();
  CHECK_FALSE(error_of([&] { tiles.zero(0); }).empty());
}

namespace {

struct LosesOddRows : EmulatedTiles {
  template <int tile>
  void store(void* to, std::int64_t stride) {
    EmulatedTiles::store(tile, to, 0 * stride);
  }
};

int asked;
bool yes() { return ++asked; }
bool no() { return !++asked; }

}  // namespace

TEST_CASE("tiles are used where they are there, granted, and agree with the kernel without them") {
  CHECK(tiles_agree<EmulatedTiles>());
  CHECK_FALSE(tiles_agree<LosesOddRows>());
  const auto usable = [](bool has, auto request, auto agree, int wanted) {
    asked = 0;
    const bool result = tiles_are_usable(has, request, agree);
    CHECK(asked == wanted);
    return result;
  };
  CHECK(usable(true, yes, yes, 2));
  CHECK_FALSE(usable(false, yes, yes, 0));
  CHECK_FALSE(usable(true, no, yes, 1));
  CHECK_FALSE(usable(true, yes, no, 2));
}

TEST_CASE("tiles are reported by both bits of the processor and saved by both of the system") {
  const std::uint32_t osxsave = 1u << 27, bf16_products = 1u << 22, tiles = 1u << 24;
  const std::uint64_t avx512 = 0xE7, configuration = 1u << 17, data = 1u << 18;
  CHECK(reports_tiles(osxsave, bf16_products | tiles, avx512 | configuration | data));
  CHECK_FALSE(reports_tiles(0, bf16_products | tiles, avx512 | configuration | data));
  CHECK_FALSE(reports_tiles(osxsave, bf16_products, avx512 | configuration | data));
  CHECK_FALSE(reports_tiles(osxsave, tiles, avx512 | configuration | data));
  CHECK_FALSE(reports_tiles(osxsave, bf16_products | tiles, avx512 | configuration));
  CHECK_FALSE(reports_tiles(osxsave, bf16_products | tiles, avx512 | data));
}
