/// The one line of an exhausted device, and the batch it names.
#include "damc/fitting_batch.h"

#include <doctest/doctest.h>

#include "tensor/error.h"

using namespace damc;

namespace {

constexpr std::size_t kMiB = 1 << 20;

}  // namespace

TEST_CASE("the batch that fits: memory is affine in the batch") {
  // 200 MiB fixed, 8 MiB an image, 1000 MiB: 100 images fit, and 120 fail at the last of their 960 MiB.
  CHECK(fitting_batch(120, 200 * kMiB, {160 * kMiB, 0, 1000 * kMiB, 1000 * kMiB}) == 100);
  // They fail earlier at one large request; what is free then counts.
  CHECK(fitting_batch(120, 200 * kMiB, {640 * kMiB, 480 * kMiB, 1000 * kMiB, 520 * kMiB}) == 100);
  // Of what comes after the failure nothing is known: the answer is the most that can fit.
  CHECK(fitting_batch(120, 200 * kMiB, {kMiB, 0, 1000 * kMiB, 1000 * kMiB}) == 119);
  // Never the batch that failed, even where the free parts together would hold it.
  CHECK(fitting_batch(120, 200 * kMiB, {10 * kMiB, 20 * kMiB, 1000 * kMiB, 900 * kMiB}) == 119);
}

TEST_CASE("the batch that fits: none") {
  CHECK(fitting_batch(1, 200 * kMiB, {10 * kMiB, 5 * kMiB, 300 * kMiB, 295 * kMiB}) == 0);
  CHECK(fitting_batch(64, 300 * kMiB, {500 * kMiB, 0, 300 * kMiB, 300 * kMiB}) == 0);
  CHECK(fitting_batch(64, 200 * kMiB, {64000 * kMiB, 50 * kMiB, 300 * kMiB, 250 * kMiB}) == 0);
}

TEST_CASE("the line says what was asked for, what is free and what would fit") {
  const OutOfMemory error("cuda:1", {160 * kMiB, kMiB / 2, 1000 * kMiB, 1000 * kMiB});
  CHECK(out_of_memory_line(error, 120, 200 * kMiB) ==
        "cuda:1 is out of memory: 160.0 MiB asked for, 0.5 of 1000.0 MiB free, 1000.0 in use here; "
        "a batch of at most 100 instead of 120 fits");
  CHECK(out_of_memory_line(error, 1, 200 * kMiB) ==
        "cuda:1 is out of memory: 160.0 MiB asked for, 0.5 of 1000.0 MiB free, 1000.0 in use here; "
        "it has no room for a batch of any size");
}
