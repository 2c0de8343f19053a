/// Data sets: the bundled MNIST, small files made in the official formats, damaged files of every kind, the
/// division for anomaly detection against NumPy, and minibatches as a pure function of seed and iteration.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "data/batches.h"
#include "data/cifar10.h"
#include "data/counter_hash.h"
#include "data/dataset.h"
#include "data/describe.h"
#include "data/file_tree.h"
#include "data/gzip.h"
#include "data/idx.h"
#include "data/kinds.h"
#include "data/mapped_file.h"
#include "data/mnist.h"
#include "data/numpy_random.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/io/zip_archive.h"
#include "tests/messages.h"

using namespace damc;
namespace fs = std::filesystem;

namespace {

const fs::path bundled = fs::path(DAMC_SOURCE_DIR) / "data/mnist";

struct TempFolder {
  fs::path path = fs::temp_directory_path() / ("damc-test-data-" + std::to_string(::getpid()));
  TempFolder() { fs::create_directories(path); }
  ~TempFolder() { fs::remove_all(path); }
};

using Bytes = std::vector<uint8_t>;

void write(const fs::path& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void write_gzip(const fs::path& path, const Bytes& bytes) {
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

void truncate(const fs::path& path, uintmax_t cut) { fs::resize_file(path, fs::file_size(path) - cut); }

/// All descriptors that this process may have, while this is there.
struct AllDescriptors {
  AllDescriptors() {
    while (taken.empty() || taken.back()) taken.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    taken.pop_back();
  }
  std::vector<Descriptor> taken;
};

/// The first line of the UserError that `action` throws; empty if it throws none.
template <class Action>
std::string line_of(const Action& action) {
  const std::string what = error_of<UserError>(action);
  return what.substr(0, what.find('\n'));
}

uLong crc(std::span<const uint8_t> bytes) { return crc32_z(0, bytes.data(), bytes.size()); }

/// `n` images whose every pixel tells its place: the value counts up through the whole array, modulo 251.
Images counting_images(int64_t n, int64_t height, int64_t width, int64_t channels) {
  Bytes pixels;
  for (int64_t i = 0; i < n * height * width * channels; ++i) pixels.push_back(static_cast<uint8_t>(i % 251));
  return {n, height, width, channels, pixels, {}};
}

}  // namespace

TEST_CASE("idx: plain, gzipped, and everything that can be wrong") {
  const TempFolder temp;
  const fs::path path = temp.path / "a";
  const Idx array{{2, 3}, {1, 2, 3, 4, 5, 6}};
  write_idx(path, array.sizes, array.bytes);
  const Bytes file{0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6};
  CHECK(fs::file_size(path) == file.size());
  CHECK(read_idx(path, 2).bytes == array.bytes);
  write_gzip(path, file);
  CHECK(read_idx(path, 2).sizes == array.sizes);

  const auto error = [&] { return line_of([&] { read_idx(path, 2); }); };
  truncate(path, 4);  // within gzip's trailer: all elements are there, the checksum is not
  CHECK(contains(error(), "truncated"));
  write_gzip(path, Bytes(file.begin(), file.end() - 1));
  CHECK(contains(error(), "truncated"));
  write_gzip(path, file);
  Bytes damaged(fs::file_size(path));
  std::ifstream(path, std::ios::binary)
      .read(reinterpret_cast<char*>(damaged.data()), static_cast<std::streamsize>(damaged.size()));
  damaged[damaged.size() - 7] ^= 1;  // the stored CRC-32
  write(path, damaged);
  CHECK(contains(error(), "damaged"));

  write(path, Bytes(file.begin(), file.end() - 1));
  CHECK(contains(error(), "truncated"));
  write(path, {});
  CHECK(contains(error(), "truncated"));
  Bytes longer = file;
  longer.push_back(0);
  write(path, longer);
  CHECK(contains(error(), "more bytes"));
  write(path, {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6});
  CHECK(contains(error(), "0x00000803"));
  // 2^64 elements: must be refused before anything is allocated.
  write(path, {0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255});
  CHECK(contains(error(), "cannot hold"));
  write_gzip(path, {0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255});
  CHECK(contains(error(), "cannot hold"));
  write(path, {0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 3});
  CHECK(contains(error(), "cannot hold"));
  fs::remove(path);
  CHECK(contains(error(), "does not exist"));
  CHECK_THROWS_AS(write_idx(path, {2, 2}, Bytes{1, 2, 3}), Error);
}

TEST_CASE("mnist: the bundled files are the official ones") {
  const Split split = load_dataset("mnist", bundled);
  CHECK((split.train.n == 60000 && split.test.n == 10000 && split.train.image_size() == 784));
  CHECK(std::vector<int32_t>(split.train.labels.begin(), split.train.labels.begin() + 5) ==
        std::vector<int32_t>{5, 0, 4, 1, 9});
  CHECK(crc(split.test.pixels) == 0xe4ca5f57);
  for (const Check& check : verify(bundled)) CHECK_MESSAGE(check.ok, check.subject, ": ", check.finding);

  const Description description = describe(bundled);
  CHECK(description.format == "mnist");
  CHECK(description.parts[0].label_counts[1] == 6742);
  CHECK(description.parts[0].channel_means[0] == doctest::Approx(0.13066));
  CHECK(contains(to_text(description), "60000 images of 28x28x1"));
}

TEST_CASE("mnist: missing and mismatched files are named") {
  const TempFolder temp;
  for (const std::string_view name : kMnistFiles)
    fs::copy_file(bundled / (std::string(name) + ".gz"), temp.path / (std::string(name) + ".gz"));
  fs::remove(temp.path / "t10k-labels-idx1-ubyte.gz");
  const auto error = [&] { return line_of([&] { read_mnist(temp.path); }); };
  CHECK(error().ends_with("t10k-labels-idx1-ubyte missing"));
  for (const char* name : {"a.parquet", "b.npz", "t10k-labels-idx1-ubyte.xz", "z.csv", ".hidden"})
    std::ofstream(temp.path / name) << "others";
  CHECK(error().ends_with("missing; not read: 'a.parquet', 'b.npz', 't10k-labels-idx1-ubyte.xz' and 1 more"));
  write_idx(temp.path / "t10k-labels-idx1-ubyte", {3}, Bytes{1, 2, 3});
  CHECK(contains(error(), "10000 images, but"));
  Bytes labels(10000, 3);
  labels[77] = 10;
  write_idx(temp.path / "t10k-labels-idx1-ubyte", {10000}, labels);
  CHECK(contains(error(), "label 10"));
  write_idx(temp.path / "t10k-images-idx3-ubyte", {1, 32, 32}, Bytes(1024));
  CHECK(contains(error(), "32x32"));
  const std::vector<Check> checks = verify(temp.path);
  CHECK((checks[0].ok && checks[1].ok && !checks[2].ok && !checks[3].ok));
}

TEST_CASE("NumpyRandom: the order of numpy.random.RandomState(42).permutation") {
  NumpyRandom random(42);
  const auto permutation = [&](size_t n) {
    std::vector<int64_t> values(n);
    std::iota(values.begin(), values.end(), 0);
    random.shuffle(values);
    return values;
  };
  CHECK(permutation(10) == std::vector<int64_t>{8, 1, 5, 0, 7, 2, 9, 4, 3, 6});
  CHECK(permutation(13) == std::vector<int64_t>{0, 11, 9, 1, 8, 5, 12, 3, 4, 7, 10, 6, 2});
  random = NumpyRandom(42);
  const std::vector<int64_t> large = permutation(70000);
  CHECK((large[0] == 46730 && large[1] == 48393 && large[69999] == 15795));
  CHECK(permutation(65536)[0] == 50409);
  CHECK(permutation(65537)[0] == 21068);
}

TEST_CASE("mnist: a held-out digit divides the images as NumPy does") {
  struct Row {
    int digit;
    int64_t n_train, n_test;
    uLong train_crc, test_crc;  // of the pixels, from NumPy
  };
  const Split official = read_mnist(bundled);
  for (const Row& row : {Row{1, 49698, 20302, 0x94c5cf78, 0x55995d67},
                         {4, 50540, 19460, 0x2ac1601c, 0x75f0a3e7},
                         {5, 50949, 19051, 0x8125f352, 0x0651a8e4},
                         {7, 50165, 19835, 0xb2d40ef9, 0x6b95d6ee},
                         {9, 50433, 19567, 0x84e4da5d, 0x8c0815fc}}) {
    CAPTURE(row.digit);
    const Split split = hold_out_digit(official, row.digit);
    CHECK(split.train.n == row.n_train);
    CHECK(split.test.n == row.n_test);
    CHECK(crc(split.train.pixels) == row.train_crc);
    CHECK(crc(split.test.pixels) == row.test_crc);
    CHECK(std::count(split.train.labels.begin(), split.train.labels.end(), row.digit) == 0);
    bool flags_right = static_cast<int64_t>(split.test_is_anomaly.size()) == split.test.n;
    for (size_t i = 0; i < split.test_is_anomaly.size(); ++i)
      flags_right &= split.test_is_anomaly[i] == (split.test.labels[i] == row.digit);
    CHECK(flags_right);
  }
  CHECK(contains(line_of([&] { hold_out_digit(official, 10); }), "10"));
}

TEST_CASE("cifar10: planar records become interleaved images") {
  const TempFolder temp;
  const fs::path dir = temp.path / "cifar-10-batches-bin";
  fs::create_directory(dir);
  CHECK(contains(line_of([&] { read_cifar10(temp.path); }), "data_batch_1.bin, data_batch_2.bin"));
  for (int b = 1; b <= 6; ++b) {
    Bytes file;
    for (int i = 0; i < 2; ++i) {
      file.push_back(static_cast<uint8_t>(b));
      for (int c = 0; c < 3; ++c)
        for (int p = 0; p < 1024; ++p) file.push_back(static_cast<uint8_t>(p % 64 + 64 * c + i));
    }
    write(dir / (b == 6 ? "test_batch.bin" : "data_batch_" + std::to_string(b) + ".bin"), file);
  }
  const Split split = load_dataset("cifar10", temp.path);
  CHECK((split.train.n == 10 && split.test.n == 2));
  CHECK(split.train.labels == std::vector<int32_t>{1, 1, 2, 2, 3, 3, 4, 4, 5, 5});
  const auto image = split.train.image(1);
  CHECK((image[0] == 1 && image[1] == 65 && image[2] == 129 && image[3] == 2 && image[33 * 3] == 34));
  CHECK(contains(verify(temp.path)[0].finding, "10 images; the official set has 50000"));
  truncate(dir / "data_batch_3.bin", 1);
  CHECK(contains(line_of([&] { read_cifar10(dir); }), "6145 bytes"));
  write(dir / "data_batch_3.bin", Bytes(3073, 200));
  CHECK(contains(line_of([&] { read_cifar10(dir); }), "label 200"));
}

TEST_CASE("load_dataset: what cannot be") {
  const TempFolder temp;
  CHECK(contains(line_of([&] { load_dataset("imagenet", temp.path); }), "imagenet"));
  CHECK(contains(line_of([&] { load_dataset("mnist", temp.path / "no"); }), "does not exist"));
  CHECK(contains(line_of([&] { load_dataset("svhn", temp.path, 3); }), "holdout is 3"));
  CHECK(contains(line_of([&] { load_dataset("celebahq", temp.path); }), "no images"));
}

TEST_CASE("counter_hash: SplitMix64's published outputs for the seed 1234567") {
  CHECK(counter_hash(1234567, 0) == 6457827717110365317u);
  CHECK(counter_hash(1234567, 1) == 3203168211198807973u);
}

TEST_CASE("batches: every epoch shows every image once, in an order of its own") {
  const Images images = counting_images(10, 1, 1, 1);
  Batches batches(images, 4, 7, false);
  std::vector<int64_t> shown;
  for (int64_t k = 0; k < 15; ++k)
    for (const int64_t i : batches.indices(k)) shown.push_back(i);
  std::vector<std::vector<int64_t>> epochs;
  for (auto it = shown.begin(); it != shown.end(); it += 10) epochs.emplace_back(it, it + 10);
  for (std::vector<int64_t> epoch : epochs) {
    std::sort(epoch.begin(), epoch.end());
    CHECK(epoch == std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  }
  std::sort(epochs.begin(), epochs.end());
  CHECK(std::adjacent_find(epochs.begin(), epochs.end()) == epochs.end());
  CHECK(Batches(images, 4, 8, false).indices(0) != batches.indices(0));
  CHECK(Batches(images, 25, 7, false).indices(0).size() == 25);  // two and a half epochs

  // All orders of three images are about equally frequent: 6000 epochs, 1000 expected of each, deviation 29.
  const Images three = counting_images(3, 1, 1, 1);
  Batches orders(three, 3, 1, false);
  std::map<std::vector<int64_t>, int> counts;
  for (int64_t k = 0; k < 6000; ++k) ++counts[orders.indices(k)];
  CHECK(counts.size() == 6);
  for (const auto& [order, count] : counts) CHECK(std::abs(count - 1000) < 120);
}

TEST_CASE("batches: a minibatch depends on seed and iteration only, not on what was asked before") {
  const Images images = counting_images(50, 2, 3, 3);
  const auto batch = [&](Batches& batches, int64_t k) {
    std::vector<float> out(static_cast<size_t>(16 * images.image_size()));
    batches.fill(k, out);
    return out;
  };
  Batches straight(images, 16, 3, true);
  std::vector<std::vector<float>> expected;
  for (int64_t k = 0; k < 20; ++k) expected.push_back(batch(straight, k));
  for (const int64_t k : {19, 3, 4, 0, 12}) {
    Batches resumed(images, 16, 3, true);
    CHECK(batch(resumed, k) == expected[static_cast<size_t>(k)]);
    CHECK(batch(straight, k) == expected[static_cast<size_t>(k)]);
  }
  std::vector<float> out(static_cast<size_t>(16 * images.image_size()));
  for (const int64_t k : {7, 2}) {  // a row for each image and side
    const std::vector<int64_t> rows = straight.rows(k), numbers = straight.indices(k);
    straight.fill(k, out);
    for (size_t i = 0; i < 16; ++i) {
      CHECK(rows[i] % 50 == numbers[i]);
      std::vector<float> plain(static_cast<size_t>(images.image_size()));
      to_float(images, numbers[i], 1, plain);
      const auto shown = out.begin() + static_cast<int64_t>(i * plain.size());
      CHECK((rows[i] < 50) == std::equal(plain.begin(), plain.end(), shown));
    }
  }
  std::vector<float> wrong(5);
  CHECK_THROWS_AS(straight.fill(0, wrong), Error);
  CHECK_THROWS_AS(straight.indices(-1), Error);
  CHECK_THROWS_AS(Batches(Images{}, 16, 3, true), UserError);
  CHECK_THROWS_AS(Batches(images, 0, 3, true), UserError);
}

TEST_CASE("batches: scaled to [-1, 1], and half of the images mirrored") {
  const Images one{1, 1, 2, 3, {0, 1, 2, 253, 254, 255}, {}};
  std::vector<float> plain(6);
  to_float(one, 0, 1, plain);
  CHECK((plain.front() == -1.f && plain.back() == 1.f && plain[1] == 1 / 127.5f - 1));
  CHECK_THROWS_AS(to_float(one, 0, 2, plain), Error);

  const std::vector<float> mirrored{plain[3], plain[4], plain[5], plain[0], plain[1], plain[2]};
  const int64_t n = 4000;
  std::vector<float> out(static_cast<size_t>(6 * n));
  Batches(one, n, 5, true).fill(0, out);
  int64_t flips = 0;
  for (auto it = out.begin(); it != out.end(); it += 6) {
    const bool flipped = std::equal(it, it + 6, mirrored.begin());
    flips += flipped;
    if (!flipped) REQUIRE(std::equal(it, it + 6, plain.begin()));
  }
  CHECK(std::abs(flips - n / 2) < 130);  // four standard deviations
  Batches(one, n, 5, false).fill(0, out);
  for (auto it = out.begin(); it != out.end(); it += 6) REQUIRE(std::equal(it, it + 6, plain.begin()));
}

TEST_CASE("too many open files are no fault of the data") {
  const TempFolder temp;
  const fs::path folder = temp.path / "folder", file = folder / "data";
  fs::create_directory(folder);
  write_gzip(file, {1, 2, 3});
  const AllDescriptors none_left;
  const std::function<void()> readers[] = {
      [&] { read_gzip(file, 9); }, [&] { const MappedFile mapped(file); },
      [&] { const ZipArchive archive(file); }, [&] { refuse_unreadable(list_files(folder)); },
      [&] { load_dataset("mnist", bundled, -1); }};
  for (const auto& read : readers) {
    CHECK(contains(error_of(read), ": Too many open files\nhint: "));
    CHECK_FALSE(blames_user(read));
  }
}
