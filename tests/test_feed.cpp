/// Minibatches that are copied while the device computes: right whenever the copies happen to run.
#include "data/feed.h"

#include <doctest/doctest.h>

#include <cstring>
#include <numeric>

#include "tensor/watch/trace.h"

using namespace damc;

namespace {

/// Copies run at the first moment that their order allows, or at the last.
enum class Moment { first, last };

class TimedStaging final : public Staging {
 public:
  TimedStaging(std::size_t bytes, Moment moment) : memory_(bytes), moment_(moment) {}
  void* host() override {
    finish();
    return memory_.data();
  }
  void send(void* to) override {
    to_ = to;
    if (moment_ == Moment::first) finish();
  }
  void arrive() override { finish(); }

 private:
  void finish() {
    if (to_) std::memcpy(std::exchange(to_, nullptr), memory_.data(), memory_.size());
  }

  std::vector<std::byte> memory_;
  Moment moment_;
  void* to_ = nullptr;
};

class TimedBackend final : public ObservedBackend {
 public:
  explicit TimedBackend(Moment moment)
      : ObservedBackend(backend(Device{}), [](const char*, const Tensor&, const auto& call) { call(); }),
        moment_(moment) {}
  std::unique_ptr<Staging> make_staging(std::size_t bytes) override {
    return std::make_unique<TimedStaging>(bytes, moment_);
  }

 private:
  Moment moment_;
};

Images images() {
  std::vector<uint8_t> pixels(13 * 6);
  std::iota(pixels.begin(), pixels.end(), uint8_t{0});
  return {.n = 13, .height = 2, .width = 3, .channels = 1, .pixels = pixels, .labels = {}};
}

const Shape kShape{4, 2, 3, 1};

std::vector<float> minibatch(const Images& all, std::int64_t k) {
  std::vector<float> pixels(static_cast<std::size_t>(kShape.numel()));
  Batches(all, 4, 5, true).fill(k, pixels);
  return pixels;
}

/// Iterations 3 .. 9, as a resumed run has them; each looks at its minibatch before and after the next is loaded.
void check_feed() {
  const Images all = images();
  Batches batches(all, 4, 5, true);
  Feed feed(batches, kShape, Device{});
  for (std::int64_t k = 3; k < 10; ++k) {
    CAPTURE(k);
    const Tensor x = feed.take(k);
    CHECK(x.shape() == kShape);
    CHECK(x.to_vector<float>() == minibatch(all, k));
    if (k != 6) feed.load(k + 1);  // one that was not loaded ahead is loaded when it is taken
    CHECK(x.to_vector<float>() == minibatch(all, k));
  }
}

}  // namespace

TEST_CASE("minibatches arrive as they are, and stay while the next is loaded") { check_feed(); }

TEST_CASE("so they do when copies run as early or as late as they may") {
  for (const Moment moment : {Moment::first, Moment::last}) {
    const BackendOverride timed(Device{}, std::make_unique<TimedBackend>(moment));
    check_feed();
  }
}
