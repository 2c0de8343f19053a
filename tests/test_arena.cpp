/// The memory that captured steps share.
#include "tensor/arena.h"

#include <doctest/doctest.h>

#include "tensor/random.h"

using namespace damc;

namespace {

/// Segments of host memory, and the list of those that are out.
Arena::Source source_of(std::map<void*, std::size_t>& segments) {
  return {[&](std::size_t bytes) {
            void* segment = ::operator new(bytes);
            segments[segment] = bytes;
            return segment;
          },
          [&](void* segment, std::size_t bytes) {
            CHECK(segments.at(segment) == bytes);
            segments.erase(segment);
            ::operator delete(segment);
          }};
}

}  // namespace

TEST_CASE("an arena cuts blocks from segments, joins what is free, and lives as long as a block is out") {
  std::map<void*, std::size_t> segments;
  const Arena::Source source = source_of(segments);
  Arenas all;
  CHECK_FALSE(all.in_use());
  std::shared_ptr<Arena> steps = all.of_steps(source), other = std::make_shared<Arena>(source);
  CHECK(all.of_steps(source) == steps);
  steps->expect(4096);
  steps->expect(1000);
  CHECK(segments.empty());
  for (int k = 0; k < 2; ++k) steps->prepare();
  CHECK(segments.size() == 1);
  std::byte *a = nullptr, *c = nullptr;
  {
    const Arenas::Use outer(all, steps);
    const auto take = [&](std::size_t bytes) { return static_cast<std::byte*>(all.allocate(bytes)); };
    a = take(100);
    std::byte* b = take(1000);
    CHECK(b == a + 512);
    c = take(2000);
    CHECK(c == a + 1536);
    CHECK(segments == std::map<void*, std::size_t>{{a, 4096}});  // as large as was expected
    CHECK(all.release(b));
    CHECK(take(600) == a + 512);  // the lowest that is large enough
    CHECK(take(1) == a + 3584);   // 0 bytes are left there, 512 at the end
    CHECK(all.release(a + 512));
    CHECK(all.release(a));
    CHECK(take(1536) == a);  // both and nothing between them
    std::byte* more = take(5000);
    CHECK(segments.size() == 2);
    CHECK(segments.at(more) == 5120);
    steps->expect(4096 + 5120);
    steps->prepare();  // is there already, though in two parts
    CHECK(segments.size() == 2);
    CHECK(all.release(more));
    const Arenas::Use inner(all, other);
    CHECK(take(512) != a);
    CHECK(segments.size() == 3);
    CHECK(all.release(c));  // goes back to its own
    CHECK(all.release(a + 3584));
  }
  CHECK_FALSE(all.in_use());
  int elsewhere = 0;
  CHECK_FALSE(all.release(&elsewhere));
  const std::weak_ptr<Arena> gone = steps;
  steps.reset();
  CHECK_FALSE(gone.expired());  // the first 1536 bytes are still out
  CHECK(all.release(a));
  CHECK(gone.expired());
  CHECK(segments.size() == 1);
  CHECK(all.of_steps(source) != nullptr);  // a new one
}

TEST_CASE("blocks of an arena do not overlap, whatever comes and goes, and its segments end as they began") {
  std::map<void*, std::size_t> segments;
  std::map<std::byte*, std::size_t> out;
  {
    Arena arena(source_of(segments));
    arena.expect(40000);
    arena.prepare();
    const std::vector<double> draws = Generator(11).uniform({3000}, Dtype::f64).to_vector<double>();
    for (std::size_t k = 0; k + 1 < draws.size(); k += 2) {
      const double size = draws[k + 1];
      if (draws[k] < 0.5 || out.empty()) {
        const auto bytes = static_cast<std::size_t>(1 + 9000.0 * size * size);
        auto* block = static_cast<std::byte*>(arena.allocate(bytes));
        const auto after = out.lower_bound(block);
        REQUIRE((after == out.end() || block + bytes <= after->first));
        REQUIRE((after == out.begin() || std::prev(after)->first + std::prev(after)->second <= block));
        out[block] = bytes;
      } else {
        const auto gone =
            std::next(out.begin(), static_cast<std::ptrdiff_t>(size * static_cast<double>(out.size())));
        arena.release(gone->first);
        out.erase(gone);
      }
    }
    CHECK(segments.size() > 3);
    for (const auto& [block, bytes] : out) arena.release(block);
  }
  CHECK(segments.empty());
}
