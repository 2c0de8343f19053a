/// Folders as people have them: names with dots, folders in folders, links, other kinds of files, archives.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/describe.h"
#include "data/idx.h"
#include "data/image_folder.h"
#include "data/image_io.h"
#include "data/kinds.h"
#include "data/layout.h"
#include "data/mnist.h"
#include "tensor/error.h"
#include "tests/messages.h"

using namespace damc;
namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<uint8_t>;

struct TempFolder {
  fs::path path = fs::temp_directory_path() / ("damc-test-layout-" + std::to_string(::getpid()));
  TempFolder() { fs::create_directories(path); }
  ~TempFolder() { fs::remove_all(path); }
};

void write(const fs::path& path, const Bytes& bytes = {}, bool gzipped = false) {
  fs::create_directories(path.parent_path());
  const gzFile file = gzopen(path.c_str(), gzipped ? "wb" : "wbT");
  if (!bytes.empty()) gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

/// The bytes of a MNIST file: 20 images whose pixels count up, or their labels.
Bytes mnist_file(std::string_view official) {
  const bool images = official.find("images") != std::string_view::npos;
  Bytes bytes{0, 0, 8, static_cast<uint8_t>(images ? 3 : 1), 0, 0, 0, 20};
  for (const uint8_t b : Bytes{0, 0, 0, 28, 0, 0, 0, 28})
    if (images) bytes.push_back(b);
  for (int i = 0; i < 20 * (images ? 784 : 1); ++i)
    bytes.push_back(static_cast<uint8_t>(images ? i % 251 : i % 10));
  return bytes;
}

/// Writes the four files under the names that `place` makes of the official ones.
template <typename Place>
void write_mnist(const Place& place, bool gzipped = false) {
  for (const std::string_view name : kMnistFiles) write(place(std::string(name)), mnist_file(name), gzipped);
}

std::string dotted(std::string name) {
  name[name.find("-idx")] = '.';
  return name;
}

/// The messages of `data info`, `data verify` and training, which have to be the same.
std::string refusal(const fs::path& dir, const std::string& kind) {
  const std::string by_training = error_of<UserError>([&] { load_dataset(kind, dir); });
  CHECK(error_of<UserError>([&] { describe(dir); }) == by_training);
  CHECK(error_of<UserError>([&] { verify(dir); }) == by_training);
  return by_training;
}

}  // namespace

TEST_CASE("MNIST's files are found with dots, gzipped, below the folder, and in folders of their own") {
  const TempFolder temp;
  const auto check = [&](const char* name, bool gzipped, const auto& place) {
    CAPTURE(name);
    const fs::path dir = temp.path / name;
    write_mnist([&](const std::string& official) { return dir / place(official); }, gzipped);
    CHECK(describe(dir).parts[0].n == 20);
    CHECK(load_dataset("mnist", dir).train.pixels[3] == 3);
    CHECK(load_dataset("mnist", dir / "").test.n == 20);
    for (const Check& found : verify(dir)) CHECK(contains(found.finding, "the official file has"));
  };
  check("dots", false, dotted);
  check("dots.gz", true, [](const std::string& name) { return dotted(name) + ".gz"; });
  check("dots.GZ", true, [](const std::string& name) { return dotted(name) + ".GZ"; });
  check("torchvision", false, [](const std::string& name) { return "MNIST/raw/" + name; });
  check("own", false, [](const std::string& name) { return name + "/" + name; });
  check("own, dots", true, [](const std::string& name) { return name + "/" + dotted(name) + ".gz"; });
}

TEST_CASE("EMNIST's digits are read and set upright") {
  const TempFolder temp;
  const auto emnist = [&](const std::string& variant) {
    write_mnist([&](std::string name) {
      if (name.starts_with("t10k")) name = "test" + name.substr(4);
      return temp.path / (variant + "-" + name);
    });
  };
  emnist("emnist-digits");
  const Split split = load_dataset("mnist", temp.path);
  CHECK(
      (split.train.n == 20 && split.train.pixels[3 * 28] == 3 && split.train.image(1)[28] == 784 % 251 + 1));
  CHECK(contains(split.note, "set upright"));
  CHECK(describe(temp.path).note == split.note);
  CHECK(contains(verify(temp.path)[0].finding, "20 images; the official set has 240000"));
  emnist("emnist-mnist");
  CHECK(contains(refusal(temp.path, "mnist"), "several data sets: emnist-digits"));
}

TEST_CASE("of several data sets the nearest complete one is read; equals are refused") {
  const TempFolder temp;
  write_mnist([&](const std::string& name) { return temp.path / "deep/er" / name; });
  write(temp.path / "train-images-idx3-ubyte", mnist_file("images"));
  CHECK(find_layout(temp.path).home == temp.path / "deep/er");
  write_mnist([&](const std::string& name) { return temp.path / "here" / name; });
  CHECK(find_layout(temp.path).home == temp.path / "here");
  write_mnist([&](const std::string& name) { return temp.path / "there" / name; });
  CHECK(contains(refusal(temp.path, "mnist"), "here' (mnist) and '"));
  CHECK(contains(error_of<UserError>([&] { load_dataset("cifar10", temp.path); }),
                 "holds MNIST, not CIFAR-10"));
  CHECK(
      contains(error_of<UserError>([&] { load_dataset("celeba64", temp.path); }), "holds MNIST, not images"));
}

TEST_CASE("CIFAR-10's parts are found two levels down and gzipped") {
  const TempFolder temp;
  for (const bool gzipped : {false, true}) {
    const fs::path dir = temp.path / (gzipped ? "gzipped" : "deep");
    for (const char* name : {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                             "data_batch_5.bin", "test_batch.bin"})
      write(gzipped ? dir / (std::string(name) + ".gz") : dir / "a/b" / name, Bytes(2 * 3073, 7), gzipped);
    const Split split = load_dataset("cifar10", dir);
    CHECK((split.train.n == 10 && split.test.n == 2 && split.test.labels[1] == 7));
    CHECK(describe(dir).parts[0].n == 10);
    CHECK(contains(verify(dir)[0].finding, "10 images; the official set"));
  }
  write(temp.path / "gzipped/test_batch.bin.gz", Bytes(3072, 7), true);
  CHECK(contains(error_of<UserError>([&] { load_dataset("cifar10", temp.path / "gzipped"); }), "3072 bytes"));
}

TEST_CASE("what is no data set is called by its name, with what to do") {
  const TempFolder temp;
  struct Row {
    const char *file, *kind, *says, *advises;
  };
  for (const Row& row :
       {Row{"py/cifar-10-batches-py/data_batch_1", "cifar10", "CIFAR-10's Python version",
            "cifar-10-binary.tar.gz"},
        {"100/cifar-100-binary/fine_label_names.txt", "cifar10", "CIFAR-100", "take CIFAR-10"},
        {"full/train/digitStruct.mat", "svhn", "full numbers (format 1)", "format 2"},
        {"zip/archive.zip", "mnist", "archive.zip' is an archive", "unzip '"},
        {"tar/cifar-10-binary.tar.gz", "cifar10", "binary.tar.gz' is an archive", "tar xf '"},
        {"tgz/faces.tgz", "celeba64", "faces.tgz' is an archive", "tar xf '"},
        {"mat/test_32x32.mat", "svhn", "train_32x32.mat is missing", "put train_32x32.mat"},
        {"bz2/data_batch_1.bin.bz2", "cifar10", "missing; not read: 'data_batch_1.bin.bz2'", "plain or .gz"},
        {"mnist/t10k-images-idx3-ubyte", "mnist", "train-labels-idx1-ubyte", "four files"},
        {"none/a.parquet", "celeba64", "no images in '", ".jpg"}}) {
    CAPTURE(row.file);
    write(temp.path / row.file);
    const fs::path dir = temp.path / *fs::path(row.file).begin();
    const std::string message = error_of<UserError>([&] { load_dataset(row.kind, dir); });
    CHECK(contains(message, row.says));
    CHECK(contains(message, "\nhint: "));
    CHECK(contains(message, row.advises));
    if (!contains(row.says, "missing") && std::string(row.says) != "train-labels-idx1-ubyte" &&
        row.kind != std::string("svhn"))
      CHECK(refusal(dir, row.kind) == message);
  }
  CHECK(contains(refusal(temp.path / "no", "mnist"), "does not exist"));
  CHECK(contains(refusal(temp.path / "zip/archive.zip", "mnist"), "unzip"));
  CHECK(contains(refusal(temp.path / "none/a.parquet", "mnist"), "is not a folder"));
}

TEST_CASE("images: every kind that is read, and all others counted") {
  const TempFolder temp;
  const auto image = [&](const std::string& name) {
    write_png(temp.path / name, Bytes(64 * 64 * 3, 9), 64, 64, 3);  // what it is shows in its first bytes
  };
  const std::vector<std::string> names{"a.bmp",  "b.JPG", "c.gif", "d.jfif", "e.jpe",
                                       "f.jpeg", "g.pgm", "h.ppm", "i.png",  "j.tga"};
  for (const std::string& name : names) image(name);
  CHECK(list_images(temp.path).left_out.empty());
  for (const char* name : {"k.heic", "l.HEIC", "m.heic", "n.tif", "o.tif", "labels", ".DS_Store"})
    write(temp.path / name);
  const std::string line = "3 .heic, 2 .tif, 1 without an ending, 1 hidden";
  const ImageFiles files = list_images(temp.path);
  CHECK((files.paths.size() == names.size() && files.left_out == line));
  CHECK(describe(temp.path).note == "left out: " + line);
  CHECK(contains(to_text(describe(temp.path)), line));
  const std::vector<Check> checks = verify(temp.path);
  CHECK((checks.size() == 2 && checks[0].finding == "10 of 10 images decode" && checks[1].finding == line));
  CHECK(contains(load_dataset("celeba64", temp.path).note, "left out: " + line));
}

TEST_CASE("images: links are followed, each file once, and broken ones are named") {
  const TempFolder temp;
  const fs::path elsewhere = temp.path / "elsewhere", dir = temp.path / "dir";
  fs::create_directories(elsewhere / "sub");
  fs::create_directories(dir);
  for (const char* name : {"1.png", "2.png", "sub/3.png"}) write_png(elsewhere / name, Bytes(12, 9), 2, 2, 3);
  fs::create_directory_symlink(elsewhere, dir / "link");
  const std::vector<fs::path> expected{dir / "link/1.png", dir / "link/2.png", dir / "link/sub/3.png"};
  CHECK(list_images(dir).paths == expected);

  fs::create_directory_symlink("..", elsewhere / "sub/loop");  // to a folder above it
  fs::create_directory_symlink(elsewhere, dir / "second");     // the same once more
  fs::create_symlink(elsewhere / "1.png", dir / "again.png");  // a file of it
  fs::create_symlink(dir, dir / "myself");
  const std::vector<fs::path> paths = list_images(dir).paths;
  CHECK(paths.size() == 3);
  CHECK(list_images(dir).left_out.empty());

  fs::create_symlink("selfish", dir / "selfish");
  fs::create_symlink("nowhere", dir / "dangling.png");
  REQUIRE(mkfifo((dir / "pipe.png").c_str(), 0600) == 0);
  CHECK(list_images(dir).paths == paths);
  CHECK(list_images(dir).left_out ==
        fmt::format("3 broken links or special files ('{}', ...)", (dir / "dangling.png").string()));
  CHECK(load_dataset("celeba64", dir).train.n == 2);
  CHECK(verify(dir)[0].finding == "3 of 3 images decode");

  // Beside a folder itself, links to it add nothing.
  fs::create_directory_symlink("elsewhere", temp.path / "alias");
  CHECK(list_images(temp.path).paths[0] == elsewhere / "1.png");
  CHECK(list_images(temp.path).paths.size() == 3);
  CHECK(list_images(temp.path / "alias").paths.size() == 3);
}
