/// The grids that the CUDA backend launches: within the limits of the hardware, and every thread's share run
/// on the host, which shows that loops visit each element and sums read each term exactly once.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "tensor/cuda/launch.h"
#include "tensor/cuda/loops.h"

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

/// f(place) for every thread of a grid, block after block.
template <class F>
void for_each_thread(const GridIndex& blocks, const GridIndex& threads, const F& f) {
  ThreadPlace at{{0, 0, 0}, {0, 0, 0}, blocks, threads};
  for (at.block.z = 0; at.block.z < blocks.z; ++at.block.z)
    for (at.block.y = 0; at.block.y < blocks.y; ++at.block.y)
      for (at.block.x = 0; at.block.x < blocks.x; ++at.block.x)
        for (at.thread.z = 0; at.thread.z < threads.z; ++at.thread.z)
          for (at.thread.y = 0; at.thread.y < threads.y; ++at.thread.y)
            for (at.thread.x = 0; at.thread.x < threads.x; ++at.thread.x) f(at);
}

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
      const LoopLaunch launch = loop_launch(n, processors);
      check_limits(launch);
      Counts calls(static_cast<std::size_t>(n));
      for_each_thread({launch.blocks, 1, 1}, {launch.threads, 1, 1},
                      [&](const ThreadPlace& at) { for_each_share(at, n, CountBody{calls}); });
      CHECK(all_ones(calls));
    }
  }
}

TEST_CASE("row loops visit every element once") {
  const std::int64_t sizes[][2] = {{1, 1}, {1, 5000}, {5000, 1}, {7, 3}, {33, 257}, {257, 33}, {3, 70001}};
  for (const auto& [rows, cols] : sizes) {
    CAPTURE(rows);
    CAPTURE(cols);
    const LoopLaunch launch = loop_launch(rows * cols, 4);
    Counts calls(static_cast<std::size_t>(rows * cols));
    for_each_thread({launch.blocks, 1, 1}, {launch.threads, 1, 1}, [&](const ThreadPlace& at) {
      for_rows_share(at, rows, cols, CountRowsBody{calls, cols});
    });
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

TEST_CASE("row loops around and beyond 32 bits: the first and the last thread take what is theirs") {
  constexpr std::int64_t limit = std::int64_t{1} << 32;
  constexpr unsigned blocks = 1 << 20, threads = 256;  // far more than a launch has, so that a share is short
  const std::int64_t step = std::int64_t{blocks} * threads;
  const std::int64_t sizes[][2] = {{1, limit + 5}, {(limit - 1 - step) / 7, 7},
                                   {limit / 8, 7}, {limit / 3, 3},
                                   {5, limit / 5}, {3, limit / 2},
                                   {limit, 3}};
  for (const auto& [rows, cols] : sizes) {
    CAPTURE(rows);
    CAPTURE(cols);
    const std::int64_t n = rows * cols;
    for (const bool end : {false, true}) {
      const ThreadPlace at{
          {end ? blocks - 1 : 0, 0, 0}, {end ? threads - 1 : 0, 0, 0}, {blocks, 1, 1}, {threads, 1, 1}};
      const std::int64_t start = end ? step - 1 : 0;
      std::int64_t calls = 0, first = -1, last = -1;
      for_rows_share(at, rows, cols, RowExtremesBody{calls, first, last, cols});
      CHECK(first == start);
      CHECK(calls == (n - start + step - 1) / step);
      CHECK(last == start + (calls - 1) * step);
    }
  }
}

namespace {

/// Term j of a sum, -8 .. 8.
double term(std::int64_t j) { return static_cast<double>(j * 7919 % 17 - 8); }

/// Terms [outer, reduced, inner] of sums; counts how often each is read.
template <class Body>
struct CountReadsBody {
  const Body& body;
  Counts& reads;
  std::int64_t reduced, inner;
  double load(std::int64_t o, std::int64_t r, std::int64_t i) const {
    ++reads[static_cast<std::size_t>((o * reduced + r) * inner + i)];
    return body.load(o, r, i);
  }
};

/// What one block does: every thread sums its terms, then folds between barriers. Between two barriers the
/// order of threads must not matter, so one emulation runs them forwards, another backwards.
template <class Body>
void run_block(const std::vector<ReduceShare>& threads, const Body& body, std::int64_t o, bool backwards,
               Values& sums_out, Counts& writes) {
  const auto each = [&](const auto& f) {
    for (std::size_t t = 0; t < threads.size(); ++t) f(threads[backwards ? threads.size() - 1 - t : t]);
  };
  double sums[kMostSummands];
  std::fill(std::begin(sums), std::end(sums), std::numeric_limits<double>::quiet_NaN());
  each([&](const ReduceShare& thread) { sums[thread.slot] = thread.sum<double>(body, o); });
  for (int left = threads[0].half; left >= threads[0].least; left /= 2) {
    each([&](const ReduceShare& thread) { fold(sums, thread.slot, left); });
  }
  each([&](const ReduceShare& thread) {
    if (!thread.writes()) return;
    sums_out[static_cast<std::size_t>(thread.target(o))] = sums[thread.slot];
    ++writes[static_cast<std::size_t>(thread.target(o))];
  });
}

/// One pass of a reduction: sums [outer, chunks, inner] of the terms of `body`, all of which it reads.
template <class Body>
Values run_pass(const ReduceLaunch& launch, std::int64_t outer, std::int64_t reduced, std::int64_t inner,
                const Body& body, bool backwards) {
  check_limits(launch.blocks, launch.threads);
  Counts reads(static_cast<std::size_t>(outer * reduced * inner));
  Values sums(static_cast<std::size_t>(outer * launch.blocks.y * inner),
              std::numeric_limits<double>::quiet_NaN());
  Counts writes(sums.size());
  for_each_thread(launch.blocks, {1, 1, 1}, [&](const ThreadPlace& block) {
    std::vector<ReduceShare> threads;
    for_each_thread({1, 1, 1}, launch.threads, [&](const ThreadPlace& at) {
      threads.emplace_back(ThreadPlace{block.block, at.thread, launch.blocks, launch.threads}, reduced, inner,
                           launch.chunk);
    });
    for (std::int64_t o = block.block.z; o < outer; o += launch.blocks.z)
      run_block(threads, CountReadsBody<Body>{body, reads, reduced, inner}, o, backwards, sums, writes);
  });
  CHECK(all_ones(reads));
  CHECK(all_ones(writes));
  return sums;
}

/// A whole reduction as CudaExecutor::reduce launches it.
void check_reduction(std::int64_t outer, std::int64_t reduced, std::int64_t inner, bool backwards) {
  CAPTURE(outer);
  CAPTURE(reduced);
  CAPTURE(inner);
  Values terms(static_cast<std::size_t>(outer * reduced * inner));
  for (std::size_t j = 0; j < terms.size(); ++j) terms[j] = term(static_cast<std::int64_t>(j));
  const ReduceLaunch launch = reduce_launch(outer, reduced, inner);
  const std::int64_t chunks = launch.blocks.y;
  Values out =
      run_pass(launch, outer, reduced, inner, PartialBody<double>{terms.data(), reduced, inner}, backwards);
  if (chunks > 1) {
    const ReduceLaunch combine = combine_launch(outer, chunks, inner);
    CHECK(combine.blocks.y == 1);
    out = run_pass(combine, outer, chunks, inner, PartialBody<double>{out.data(), chunks, inner}, backwards);
  }
  Values expected(out.size());
  for (std::int64_t j = 0; j < outer * reduced * inner; ++j)
    expected[static_cast<std::size_t>(j / (reduced * inner) * inner + j % inner)] += term(j);
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
struct CountSegmentsBody {
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
    return term(j);
  }
};

/// As CudaExecutor::for_pieces and sum_pieces launch them.
void check_pieces(const std::vector<std::int64_t>& lengths, int processors) {
  Segments segments;
  std::vector<std::int64_t> start{0};
  for (const std::int64_t n : lengths) {
    segments.add(n);
    start.push_back(start.back() + n);
  }
  const std::int64_t total = start.back();
  const LoopLaunch launch = pieces_launch(segments.pieces(), processors);
  check_limits(launch);
  const GridIndex blocks{launch.blocks, 1, 1}, threads{launch.threads, 1, 1};
  Counts calls(static_cast<std::size_t>(total)), reads(calls.size());
  for_each_thread(blocks, threads, [&](const ThreadPlace& at) {
    for_pieces_share(at, segments, CountSegmentsBody{calls, start});
  });
  CHECK(all_ones(calls));

  double sum = 0.0, expected = 0.0;
  for (std::int64_t q = 0; q < segments.pieces(); ++q) {
    std::vector<double> sums(launch.threads);
    for_each_thread({1, 1, 1}, threads, [&](const ThreadPlace& at) {
      sums[at.thread.x] = piece_share<double>(at, segments.piece(q), CountSegmentsBody{reads, start});
    });
    for (int left = static_cast<int>(launch.threads) / 2; left >= 1; left /= 2) {
      for (int slot = 0; slot < static_cast<int>(launch.threads); ++slot) fold(sums.data(), slot, left);
    }
    sum += sums[0];
  }
  CHECK(all_ones(reads));
  for (std::int64_t j = 0; j < total; ++j) expected += term(j);
  CHECK(sum == expected);
}

}  // namespace

TEST_CASE("loops over several tensors visit every element once, and sums read every term once") {
  constexpr std::int64_t p = kPieceElements;
  for (const int processors : {1, 132}) {
    check_pieces({1}, processors);
    check_pieces({p - 1, p, p + 1}, processors);
    check_pieces({0, 3, 0, 0, 5 * p + 7, 0}, processors);
    check_pieces({0, 0}, processors);
    check_pieces({30 * p + 1, 17, 2 * p, 1, 1, 64}, processors);
    check_pieces(std::vector<std::int64_t>(kMostSegments, 300), processors);
    check_pieces(std::vector<std::int64_t>(kMostSegments, 0), processors);
  }
}
