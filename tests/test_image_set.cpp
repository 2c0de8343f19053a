/// Releases of image files and databases, anyone's own images at any size, and packs of all of them.
#include <doctest/doctest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "data/batches.h"
#include "data/dataset.h"
#include "data/describe.h"
#include "data/idx.h"
#include "data/image_io.h"
#include "data/image_set.h"
#include "data/packed.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tests/lmdb_writer.h"
#include "tests/messages.h"

using namespace damc;
namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<std::uint8_t>;

const std::string kImages = std::string(DAMC_SOURCE_DIR) + "/tests/golden/images/";

struct TempFolder {
  fs::path path = fs::temp_directory_path() / ("damc-test-set-" + std::to_string(::getpid()));
  TempFolder() { fs::create_directories(path); }
  ~TempFolder() { fs::remove_all(path); }
};

/// An image all of whose pixels have one value.
void write_plain(const fs::path& path, std::uint8_t value, std::int64_t side = 8) {
  fs::create_directories(path.parent_path());
  write_png(path, Bytes(static_cast<std::size_t>(side * side * 3), value), side, side, 3);
}

std::string bytes_of(const fs::path& path) {
  const std::vector<std::byte> bytes = read_file(path, kMaxImageBytes);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A database of images whose keys sort as they are given.
void write_database(const fs::path& folder, const std::vector<fs::path>& files) {
  std::vector<KeyValue> pairs;
  for (const fs::path& file : files) pairs.push_back({fmt::format("{:03}", pairs.size()), bytes_of(file)});
  write_lmdb(folder, pairs);
}

std::string load_error(const std::string& kind, const fs::path& dir, int holdout = -1) {
  return error_of<UserError>([&] { load_dataset(kind, dir, holdout); });
}

/// Bytes of memory of this process that are no file's.
std::int64_t own_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "RssAnon:") continue;
    std::int64_t kib = 0;
    status >> kib;
    return kib << 10;
  }
  return 0;
}

}  // namespace

TEST_CASE("ffhq: nested folders of one size, not the thumbnails beside them") {
  const TempFolder temp;
  for (int i = 0; i < 3; ++i) {
    const std::string name = fmt::format("{:05}.png", i);
    write_plain(temp.path / "ffhq/images1024x1024/00000" / name, static_cast<std::uint8_t>(i));
    write_plain(temp.path / "ffhq/thumbnails128x128/00000" / name, 99);
  }
  write_plain(temp.path / "ffhq/images1024x1024/01000/01000.png", 3);
  for (const fs::path& dir : {temp.path, temp.path / "ffhq", temp.path / "ffhq/images1024x1024"}) {
    CAPTURE(dir);
    const Split split = load_dataset("cifar10", dir);
    CHECK((split.source == "FFHQ" && split.train.n == 3 && split.test.n == 1 && split.train.height == 32));
    CHECK((split.train.image(2)[0] == 2 && split.test.image(0)[0] == 3));
    CHECK(describe(dir).format == "ffhq");
    CHECK(contains(verify(dir)[1].finding, "4 images; the official set has 70000"));
  }
  fs::remove_all(temp.path / "ffhq/images1024x1024");
  CHECK(load_dataset("cifar10", temp.path).train.image(0)[0] == 99);
}

TEST_CASE("celebahq: the images of CelebAMask-HQ without its masks") {
  const TempFolder temp;
  for (int i = 0; i < 12; ++i) {
    write_plain(temp.path / fmt::format("CelebAMask-HQ/CelebA-HQ-img/{}.png", i),
                static_cast<std::uint8_t>(i));
    write_plain(temp.path / fmt::format("CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/{:05}_hair.png", i), 255);
  }
  const ImageSet set = find_images(temp.path);
  CHECK((set.source->size() == 12 && set.n_train == 29500 && set.title == "CelebA-HQ"));
  const Split split = load_dataset("celeba64", temp.path);
  CHECK((split.train.n == 11 && split.train.image(1)[0] == 1 &&
         split.train.image(2)[0] == 10));  // 0, 1, 10, 11, 2
  CHECK(contains(split.note, "too few images for the official split"));
}

TEST_CASE("lsun: databases of WebP, JPEG and PNG values, divided as they are released") {
  const TempFolder temp;
  const fs::path train = temp.path / "tower_train_lmdb", test = temp.path / "tower_val_lmdb";
  write_database(train, {kImages + "lossy.webp", kImages + "source.png", kImages + "grey.webp"});
  write_database(test, {kImages + "lossless.webp"});
  for (const std::string kind : {"celebahq", "lsun"}) {
    const Split split = load_dataset(kind, temp.path);
    CHECK((split.source == "LSUN tower" && split.note.empty() && split.train.n == 3 && split.test.n == 1));
    // 37 rows of 53 columns: columns 8 to 44, by Lanczos.
    const Images square = crop(read_image(kImages + "lossy.png"), 0, 8, 37, 37);
    const Images expected = resize(square, 256, 256, Filter::lanczos);
    CHECK(split.train.image(0)[1000] == expected.pixels[1000]);
    CHECK(std::ranges::equal(split.train.image(0), expected.pixels));
  }
  const Split grey = load_dataset("mnist", temp.path);
  CHECK((grey.train.channels == 1 && grey.train.height == 28 && grey.train.n == 3 &&
         grey.train.labels.empty()));
  const Description description = describe(temp.path);
  CHECK(
      (description.format == "lsun" && description.parts[0].n == 4 && description.parts[0].shape == "37x53"));
  CHECK(description.note == "the first 3 train, 1 test");
  CHECK(verify(temp.path)[0].finding == "4 of 4 images decode");

  CHECK(load_dataset("lsun", train).note == "not divided: of 3 the last 1 test");
  write_database(temp.path / "bridge_train_lmdb", {kImages + "lossy.webp"});
  CHECK(contains(load_error("lsun", temp.path), "several data sets: bridge"));
}

TEST_CASE("lsun: values that are no images are named by their key") {
  const TempFolder temp;
  write_lmdb(temp.path / "x_train_lmdb",
             {{"first", "no image"}, {"second", bytes_of(kImages + "lossy.webp").substr(0, 100)}});
  const std::string message = load_error("lsun", temp.path);
  CHECK_MESSAGE((contains(message, "data.mdb: first'") && contains(message, "cannot decode")), message);
  const std::vector<Check> checks = verify(temp.path);
  REQUIRE(checks.size() == 3);
  CHECK(checks[0].finding == "0 of 2 images decode");
  CHECK(contains(checks[2].finding, "it ends too early"));
  fs::remove_all(temp.path / "x_train_lmdb");
  write_lmdb(temp.path / "x_train_lmdb", {});
  CHECK(contains(load_error("lsun", temp.path), "holds no images"));
}

TEST_CASE("any folder of images at any kind's size, but not to hold a digit out of") {
  const TempFolder temp;
  for (int i = 0; i < 20; ++i)
    write_plain(temp.path / fmt::format("{:02}.png", i), static_cast<std::uint8_t>(10 * i), 40);
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    const Split split = load_dataset(std::string(kind.name), temp.path);
    CHECK((split.train.n == 18 && split.test.n == 2 && split.train.height == kind.fitting.size));
    CHECK((split.train.channels == kind.fitting.channels && split.train.image(3)[0] == 30));
  }
  CHECK(contains(load_error("mnist", temp.path, 3), "holds images without labels"));
  CHECK(contains(load_error("mnist", temp.path / "00.png"), "is not a folder"));
}

TEST_CASE("more images than the machine has memory for are refused before one is decoded") {
  const double memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  const auto n = static_cast<int>(memory / (256 * 256 * 3)) + 1;
  if (n > 1'500'000) return;  // on a very large machine such a database takes too long to make
  const TempFolder temp;
  std::vector<KeyValue> pairs;
  for (int i = 0; i < n; ++i) pairs.push_back({fmt::format("{:08}", i), "x"});
  write_lmdb(temp.path / "tower_train_lmdb", pairs);
  const std::string message = load_error("celebahq", temp.path);
  CHECK_MESSAGE((contains(message, fmt::format("the {} images", n)) && contains(message, "damc data pack")),
                message);
}

TEST_CASE("a pack is the same data as what it was made of, division and fingerprint") {
  const TempFolder temp;
  const fs::path original = temp.path / "images", pack = temp.path / "pack";
  write_database(original / "tower_train_lmdb",
                 {kImages + "lossy.webp", kImages + "source.png", kImages + "grey.webp"});
  write_database(original / "tower_val_lmdb", {kImages + "lossless.webp"});
  const ImageSet set = find_images(original);
  pack_images(pack, *set.source, {0, 3}, {3, 1}, set.fitted(find_kind("svhn").fitting), {set.title, 3});
  const Split unpacked = load_dataset("svhn", original), packed = load_dataset("svhn", pack);
  CHECK(fingerprint(packed) == fingerprint(unpacked));
  CHECK((packed.source == "LSUN tower, packed" && packed.note.empty()));
  std::vector<float> a(3 * 32 * 32 * 3), b(a.size());
  Batches(unpacked.train, 3, 7, true).fill(5, a);
  Batches(packed.train, 3, 7, true).fill(5, b);
  CHECK(a == b);
  CHECK(describe(pack).note == "LSUN tower; the first 3 train, 1 test");
  CHECK(contains(load_error("celebahq", pack), "32x32x3; celebahq needs 256x256x3"));
  CHECK(std::distance(fs::directory_iterator(pack), fs::directory_iterator()) == 2);

  const fs::path file = pack / "images-idx4-ubyte";
  const std::vector<std::byte> whole = read_file(file, 1 << 20);
  for (const std::size_t n :
       {std::size_t{0}, std::size_t{3}, std::size_t{12}, std::size_t{20}, whole.size() - 1}) {
    atomic_write_file(file, std::span(whole).first(n));
    CHECK_MESSAGE(contains(load_error("svhn", pack), "images-idx4-ubyte'"), n);
  }
  std::vector<std::byte> longer = whole;
  longer.push_back({});
  atomic_write_file(file, longer);
  CHECK(contains(load_error("svhn", pack), "bytes; by its header it should have"));
  atomic_write_file(file, whole);
  for (const std::string text : {"", "{", "[]", "{\"data\": 3, \"images\": 4, \"training\": 3}",
                                 "{\"data\": \"x\", \"images\": 5, \"training\": 3}",
                                 "{\"data\": \"x\", \"images\": 4, \"training\": -3}",
                                 "{\"data\": \"x\", \"images\": 4, \"training\": 5}"}) {
    atomic_write_file(pack / "pack.json", std::as_bytes(std::span(text)));
    CHECK_MESSAGE(contains(load_error("svhn", pack), "pack.json' does not describe the 4 images"), text);
  }
  fs::remove(pack / "pack.json");  // a pack of before
  CHECK(load_dataset("svhn", pack).note == "not divided: of 4 the last 1 test");
}

TEST_CASE("a pack of 70,000 images of 256x256 takes no memory but for what is looked at") {
  const TempFolder temp;
  constexpr std::int64_t n = 70000, size = 256 * 256 * 3;
  {
    std::ofstream file(temp.path / "images-idx4-ubyte", std::ios::binary);
    const Bytes header{0, 0, 8, 4, 0, 1, 0x11, 0x70, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 3};
    file.write(reinterpret_cast<const char*>(header.data()), std::ssize(header));
    file.seekp(20 + (n - 1) * size);  // what is not written takes no room on the disk
    const Bytes last(size, 51);
    file.write(reinterpret_cast<const char*>(last.data()), std::ssize(last));
  }
  const std::int64_t before = own_memory();
  const Split split = load_dataset("celebahq", temp.path);
  CHECK((split.train.n == 29500 && split.test.n == n - 29500));
  CHECK(split.test.image(split.test.n - 1)[size - 1] == 51);
  Batches batches(split.train, 8, 1, true);
  std::vector<float> batch(8 * size);
  for (std::int64_t k = 0; k < 4; ++k) batches.fill(k, batch);
  CHECK(batch[0] == -1.f);
  CHECK(own_memory() - before < std::int64_t{32} << 20);
}
