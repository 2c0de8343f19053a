/// The grids that the CUDA backend launches: within the limits of the hardware, and every thread's share run
/// on the host, which shows that loops visit each element and sums read each term exactly once.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tensor/kernels/bodies.h"
#include "tests/grid_executor.h"

using namespace damc;

namespace {

using Values = std::vector<double>;
using Counts = std::vector<int>;

/// The limits of compute capability 5.0 and later (CUDA programming guide, technical specifications).
void check_limits(const GridIndex& blocks, const GridIndex& threads) {
  CHECK(blocks.x >= 1);
  CHECK(blocks.x <= 2147483647u);
  CHECK(blocks.y >= 1);
  CHECK(blocks.y <= 65535u);
  CHECK(blocks.z >= 1);
  CHECK(blocks.z <= 65535u);
  CHECK(threads.x * threads.y * threads.z >= 32u);
  CHECK(threads.x * threads.y * threads.z <= 1024u);
}

void check_limits(const LoopLaunch& launch) { check_limits({launch.blocks, 1, 1}, {launch.threads, 1, 1}); }

/// A loop body that counts its calls.
struct CountBody {
  Counts& calls;
  void operator()(std::int64_t i) const { ++calls[static_cast<std::size_t>(i)]; }
};

struct CountRowsBody {
  Counts& calls;
  std::int64_t cols;
  struct Row {
    Counts& calls;
    std::int64_t start;
    void operator()(std::int64_t c) const { ++calls[static_cast<std::size_t>(start + c)]; }
  };
  Row row(std::int64_t r) const { return {calls, r * cols}; }
};

bool all_ones(const Counts& counts) {
  return std::all_of(counts.begin(), counts.end(), [](int count) { return count == 1; });
}

/// Notes the elements of one thread of a loop too long to run whole.
struct ExtremesBody {
  std::int64_t &calls, &first, &last;
  void operator()(std::int64_t i) const {
    if (calls++ == 0) first = i;
    last = i;
  }
};

}  // namespace

TEST_CASE("loops visit every element once, whatever their length and the chip") {
  for (const int processors : {0, 1, 3, 132}) {
    for (const std::int64_t n : {1, 2, 31, 255, 256, 257, 2048, 2049, 70001, 300000}) {
      CAPTURE(n);
      CAPTURE(processors);
      check_limits(loop_launch(n, processors));
      Counts calls(static_cast<std::size_t>(n));
      GridExecutor(processors).for_each(n, CountBody{calls});
      CHECK(all_ones(calls));
    }
  }
}

TEST_CASE("row loops visit every element once") {
  const std::int64_t sizes[][2] = {{1, 1}, {1, 5000}, {5000, 1}, {7, 3}, {33, 257}, {257, 33}, {3, 70001}};
  for (const auto& size : sizes) {
    const std::int64_t rows = size[0], cols = size[1];
    CAPTURE(rows);
    CAPTURE(cols);
    Counts calls(static_cast<std::size_t>(rows * cols));
    GridExecutor().for_rows(rows, cols, CountRowsBody{calls, cols});
    CHECK(all_ones(calls));
  }
}

TEST_CASE("loops beyond 32 bits: the first and the last thread take what is theirs") {
  for (const std::int64_t n :
       {(std::int64_t{1} << 31) + 1, (std::int64_t{1} << 32) + 12345, std::int64_t{1} << 38}) {
    CAPTURE(n);
    const LoopLaunch launch = loop_launch(n, 132);
    check_limits(launch);
    const std::int64_t step = std::int64_t{launch.blocks} * launch.threads;
    for (const bool end : {false, true}) {
      const ThreadPlace at{{end ? launch.blocks - 1 : 0, 0, 0},
                           {end ? launch.threads - 1 : 0, 0, 0},
                           {launch.blocks, 1, 1},
                           {launch.threads, 1, 1}};
      const std::int64_t start = end ? step - 1 : 0;
      std::int64_t calls = 0, first = -1, last = -1;
      for_each_share(at, n, ExtremesBody{calls, first, last});
      CHECK(first == start);
      CHECK(calls == (n - start + step - 1) / step);
      CHECK(last == start + (calls - 1) * step);
      CHECK(last < n);
    }
  }
}

namespace {

/// Notes the elements of one thread, each as its place in the flattened rows.
struct RowExtremesBody {
  std::int64_t &calls, &first, &last;
  std::int64_t cols;
  struct Row {
    const RowExtremesBody& body;
    std::int64_t start;
    void operator()(std::int64_t c) const {
      CHECK(c >= 0);
      CHECK(c < body.cols);
      if (body.calls++ == 0) body.first = start + c;
      body.last = start + c;
    }
  };
  Row row(std::int64_t r) const { return {*this, r * cols}; }
};

}  // namespace

TEST_CASE("quotients around and beyond 32 bits") {
  constexpr std::int64_t limit = std::int64_t{1} << 32;
  for (const std::int64_t a :
       {std::int64_t{0}, std::int64_t{12345}, limit - 1, limit, limit + 1, 77 * limit}) {
    for (const std::int64_t b : {std::int64_t{1}, std::int64_t{7}, limit - 1, limit, 3 * limit + 1})
      CHECK(quotient(a, b) == a / b);
  }
}

TEST_CASE("row loops around and beyond 32 bits: the first and the last thread take what is theirs") {
  constexpr std::int64_t limit = std::int64_t{1} << 32;
  constexpr unsigned blocks = 1 << 20, threads = 256;  // far more than a launch has, so that a share is short
  const std::int64_t step = std::int64_t{blocks} * threads;
  const std::int64_t sizes[][2] = {{1, limit + 5}, {(limit - 1 - step) / 7, 7},
                                   {limit / 8, 7}, {limit / 3, 3},
                                   {5, limit / 5}, {3, limit / 2},
                                   {limit, 3}};
  for (const auto& size : sizes) {
    const std::int64_t rows = size[0], cols = size[1];
    CAPTURE(rows);
    CAPTURE(cols);
    const std::int64_t n = rows * cols;
    for (const bool end : {false, true}) {
      const ThreadPlace at{
          {end ? blocks - 1 : 0, 0, 0}, {end ? threads - 1 : 0, 0, 0}, {blocks, 1, 1}, {threads, 1, 1}};
      const std::int64_t start = end ? step - 1 : 0;
      std::int64_t calls = 0, first = -1, last = -1;
      for_rows_share(at, {rows, cols, 1}, RowExtremesBody{calls, first, last, cols});
      CHECK(first == start);
      CHECK(calls == (n - start + step - 1) / step);
      CHECK(last == start + (calls - 1) * step);
      // The same with packs of 4 in the place of elements.
      calls = 0;
      for_rows_share(at, {rows, 4 * cols, 4}, RowExtremesBody{calls, first, last, 4 * cols});
      CHECK(first == 4 * start);
      CHECK(calls == 4 * ((n - start + step - 1) / step));
      CHECK(last == 4 * start + (calls / 4 - 1) * 4 * step + 3);
    }
  }
}

namespace {

/// Terms -8 .. 8 of a sum; counts how often each is read.
struct TermsBody {
  Counts& reads;
  std::int64_t reduced, inner;
  double load(std::int64_t o, std::int64_t r, std::int64_t i) const {
    const std::int64_t j = (o * reduced + r) * inner + i;
    ++reads[static_cast<std::size_t>(j)];
    return value(j);
  }
  static double value(std::int64_t j) { return static_cast<double>(j * 7919 % 17 - 8); }
};

/// A whole reduction; the executor sees that every partial sum is written once.
void check_reduction(std::int64_t outer, std::int64_t reduced, std::int64_t inner, bool backwards) {
  CAPTURE(outer);
  CAPTURE(reduced);
  CAPTURE(inner);
  const ReduceLaunch launch = reduce_launch(outer, reduced, inner);
  check_limits(launch.blocks, launch.threads);
  Counts reads(static_cast<std::size_t>(outer * reduced * inner));
  Values out(static_cast<std::size_t>(outer * inner), std::numeric_limits<double>::quiet_NaN());
  const GridExecutor grid(4, backwards);
  grid.reduce<double>(outer, reduced, inner, TermsBody{reads, reduced, inner}, out.data());
  CHECK(all_ones(reads));
  Values expected(out.size());
  for (std::int64_t j = 0; j < outer * reduced * inner; ++j)
    expected[static_cast<std::size_t>(j / (reduced * inner) * inner + j % inner)] += TermsBody::value(j);
  CHECK(out == expected);
}

}  // namespace

TEST_CASE("reductions read every term once and write every sum once") {
  for (const std::int64_t outer : {1, 2, 65}) {
    for (const std::int64_t reduced : {0, 1, 7, 64, 129, 1025}) {
      for (const std::int64_t inner : {1, 2, 3, 31, 32, 33, 100})
        check_reduction(outer, reduced, inner, inner % 2);
    }
  }
  const std::int64_t others[][3] = {
      {1, 300000, 1}, {1, 262144, 1}, {3, 5001, 1},  {1, 70000, 5},    {2, 4097, 33},
      {1, 1, 5000},   {1, 2, 100000}, {1, 1023, 1},  {1, 1024 * 3, 1}, {1, 64 * 1024, 2},
      {65536, 1, 1},  {65600, 2, 2},  {1024, 65, 1}, {1, 127, 32},     {1025, 1024, 1},
  };
  for (const auto& [outer, reduced, inner] : others) {
    check_reduction(outer, reduced, inner, false);
    if (outer < 10) check_reduction(outer, reduced, inner, true);
  }
}

TEST_CASE("reductions of any size keep to the limits of a grid, cover all terms and suit the folding") {
  const std::int64_t sizes[] = {1,
                                2,
                                31,
                                32,
                                33,
                                63,
                                64,
                                65,
                                255,
                                256,
                                257,
                                1000,
                                1023,
                                1024,
                                1025,
                                65535,
                                65536,
                                65537,
                                1000000,
                                1 << 24,
                                std::int64_t{1} << 33,
                                (std::int64_t{1} << 35) + 1};
  for (const std::int64_t outer : sizes) {
    for (const std::int64_t reduced : sizes) {
      for (const std::int64_t inner : sizes) {
        if (static_cast<double>(outer) * static_cast<double>(reduced) * static_cast<double>(inner) > 1e15)
          continue;
        CAPTURE(outer);
        CAPTURE(reduced);
        CAPTURE(inner);
        const auto [chunk, blocks, threads] = reduce_launch(outer, reduced, inner);
        check_limits(blocks, threads);
        const std::int64_t chunks = blocks.y;
        const ReduceLaunch combine = combine_launch(outer, chunks, inner);
        check_limits(combine.blocks, combine.threads);
        CHECK(combine.blocks.y == 1);
        CHECK(chunk * chunks >= reduced);
        CHECK(chunk * (chunks - 1) < reduced);
        const std::int64_t covered = inner == 1 ? 1 : std::int64_t{blocks.x} * threads.x;
        CHECK(covered >= inner);
        CHECK(covered - threads.x < inner);
        // Folding halves the block, so its size is a power of two, and x too, where halving stops at rows.
        CHECK(threads.x * threads.y <= kMostSummands);
        CHECK((threads.x & (threads.x - 1)) == 0u);
        CHECK((threads.y & (threads.y - 1)) == 0u);
        CHECK(threads.z == 1u);
        // Partial sums stay small beside the terms.
        CHECK((chunks == 1 || chunks * 32 <= reduced));
      }
    }
  }
}

namespace {

/// Rows are tensors; terms are numbered through all of them.
struct CountTensorsBody {
  Counts& calls;
  const std::vector<std::int64_t>& start;
  struct Row {
    Counts& calls;
    std::int64_t start;
    void operator()(std::int64_t c) const { ++calls[static_cast<std::size_t>(start + c)]; }
  };
  Row row(int s) const { return {calls, start[static_cast<std::size_t>(s)]}; }
  double load(std::int64_t s, std::int64_t c, std::int64_t) const {
    const std::int64_t j = start[static_cast<std::size_t>(s)] + c;
    ++calls[static_cast<std::size_t>(j)];
    return TermsBody::value(j);
  }
};

void check_pieces(const std::vector<std::int64_t>& lengths, int processors) {
  TensorList tensors;
  std::vector<std::int64_t> start{0};
  for (const std::int64_t n : lengths) {
    tensors.add(n);
    start.push_back(start.back() + n);
  }
  check_limits(pieces_launch(tensors.pieces(), processors));
  const GridExecutor grid(processors);
  Counts calls(static_cast<std::size_t>(start.back())), reads(calls.size());
  grid.for_pieces(tensors, CountTensorsBody{calls, start});
  CHECK(all_ones(calls));

  double sum = 0.0, expected = 0.0;
  grid.sum_pieces<double>(tensors, CountTensorsBody{reads, start}, &sum);
  CHECK(all_ones(reads));
  for (std::int64_t j = 0; j < start.back(); ++j) expected += TermsBody::value(j);
  CHECK(sum == expected);
}

}  // namespace

TEST_CASE("sums have the same bits on every chip, in whatever order a block's threads run") {
  constexpr std::int64_t n = 70001;
  std::vector<float> x(2 * n);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = std::sin(static_cast<float>(i));  // sums of which are rounded
  TensorList tensors;
  tensors.add(n);
  tensors.add(n);
  const auto sums = [&](int processors, bool backwards) {
    const GridExecutor grid(processors, backwards);
    std::vector<float> out(4 + n);
    grid.reduce<float>(1, 2 * n, 1, SumBody<float>{x.data(), 2 * n, 1}, out.data());
    grid.reduce<float>(1, n, 2, SumBody<float>{x.data(), n, 2}, out.data() + 1);
    grid.sum_pieces<float>(tensors, SumBody<float>{x.data(), n, 1}, out.data() + 3);
    grid.reduce<float>(1, 2, n, SumBody<float>{x.data(), 2, n}, out.data() + 4);
    return out;
  };
  const std::vector<float> wanted = sums(1, false);
  for (const int processors : {3, 132}) CHECK(sums(processors, processors == 132) == wanted);
}

TEST_CASE("loops over several tensors visit every element once, and sums read every term once") {
  constexpr std::int64_t p = kPieceElements;
  for (const int processors : {1, 132}) {
    check_pieces({1}, processors);
    check_pieces({p - 1, p, p + 1}, processors);
    check_pieces({0, 3, 0, 0, 5 * p + 7, 0}, processors);
    check_pieces({0, 0}, processors);
    check_pieces({30 * p + 1, 17, 2 * p, 1, 1, 64}, processors);
    check_pieces(std::vector<std::int64_t>(kMostTensors, 300), processors);
    check_pieces(std::vector<std::int64_t>(kMostTensors, 0), processors);
  }
}

namespace {

/// x += 1 over rows that lie `stride` elements apart, taken in packs; counts the elements that a pack took: those that
/// a row finds elsewhere than where they belong.
template <class T>
struct PackedBody {
  T* x;
  std::int64_t stride;
  std::int64_t& in_packs;

  struct Row {
    T* x;
    const T* home;
    std::int64_t& in_packs;
    void operator()(std::int64_t c) const {
      x[c] = static_cast<T>(x[c] + T(1));
      in_packs += x != home;
    }
    static constexpr int kPack = kPackElements<T>;
    template <class Visit>
    void operands(Visit& visit) {
      visit.update(x);
    }
  };
  Row row(std::int64_t r) const { return {x + r * stride, x + r * stride, in_packs}; }
};

/// Memory as aligned as a device's: zeros, then n elements at an offset, then more zeros.
template <class T>
class Buffer {
 public:
  Buffer(std::int64_t offset, std::int64_t n)
      : room_(static_cast<std::size_t>(offset + n) / kUnit + 3), offset_(offset), n_(n) {}
  T* data() { return reinterpret_cast<T*>(room_.data()) + offset_; }
  /// Whether element i is wanted(i) and all around them is untouched.
  template <class F>
  bool holds(const F& wanted) {
    for (std::int64_t i = -offset_; i < n_ + static_cast<std::int64_t>(kUnit); ++i) {
      if (data()[i] != (i >= 0 && i < n_ ? wanted(i) : T(0))) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kUnit = kAccessBytes / sizeof(T);
  struct alignas(kAccessBytes) Unit {
    T element[kUnit] = {};
  };
  std::vector<Unit> room_;
  std::int64_t offset_, n_;
};

/// One row of each length at each offset: packs exactly where they are aligned, its rest element by element.
template <class T>
void check_packs() {
  constexpr int pack = kPackElements<T>;
  for (std::int64_t offset = 0; offset <= pack; ++offset) {
    for (const std::int64_t start : {0, 256 * pack, 3 * 8 * 256 * pack}) {  // a block, a whole grid of blocks
      for (std::int64_t n = start + 1; n <= start + 2 * pack + 1; ++n) {
        CAPTURE(offset);
        CAPTURE(n);
        Buffer<T> x(offset, n);
        std::int64_t in_packs = 0;
        GridExecutor(3).for_rows(1, n, PackedBody<T>{x.data(), n, in_packs});
        CHECK(x.holds([](std::int64_t) { return T(1); }));
        CHECK(in_packs == (offset % pack == 0 ? n / pack * pack : 0));
      }
    }
  }
}

}  // namespace

TEST_CASE("packs take every element once, whatever the length; a row that starts badly goes by elements") {
  check_packs<float>();
  check_packs<double>();
  check_packs<std::int64_t>();
  check_packs<std::uint16_t>();  // as wide as bf16
}

TEST_CASE("packs in many rows: none lies in two of them, and each row starts well or goes by elements") {
  for (std::int64_t cols = 1; cols <= 13; ++cols) {
    for (const std::int64_t gap : {0, 1, 2, 4}) {
      for (const std::int64_t rows : {2, 5, 700}) {
        CAPTURE(cols);
        CAPTURE(gap);
        CAPTURE(rows);
        const std::int64_t stride = cols + gap;
        Buffer<float> x(0, rows * stride);
        std::int64_t in_packs = 0, wanted = 0;
        for (std::int64_t r = 0; r < rows; ++r) wanted += cols % 4 == 0 && r * stride % 4 == 0 ? cols : 0;
        GridExecutor().for_rows(rows, cols, PackedBody<float>{x.data(), stride, in_packs});
        CHECK(x.holds([&](std::int64_t i) { return i % stride < cols ? 1.0f : 0.0f; }));
        CHECK(in_packs == wanted);
      }
    }
  }
}

TEST_CASE("packs in several tensors, each as well aligned as it is") {
  constexpr std::int64_t p = kPieceElements;
  for (const std::int64_t offset : {0, 1, 4}) {
    for (const std::int64_t n : {std::int64_t{1}, std::int64_t{4}, p - 1, p, p + 5, 3 * p + 2}) {
      CAPTURE(offset);
      CAPTURE(n);
      Buffer<float> x(offset, n), y(0, 7);
      std::int64_t in_packs = 0;
      TensorList tensors;
      tensors.add(n);
      tensors.add(7);
      struct {
        PackedBody<float> first, second;
        PackedBody<float>::Row row(int s) const { return (s == 0 ? first : second).row(0); }
      } body{{x.data(), n, in_packs}, {y.data(), 7, in_packs}};
      GridExecutor(1).for_pieces(tensors, body);
      CHECK(x.holds([](std::int64_t) { return 1.0f; }));
      CHECK(y.holds([](std::int64_t) { return 1.0f; }));
      CHECK(in_packs == (offset % 4 == 0 ? n / 4 * 4 : 0) + 4);
    }
  }
}
