/// Readers of files against hostile ones: damaged copies of good files, each of which must be read or refused with a
/// UserError, in bounded time and memory. Input i of a reader is the same in every run.
///
///   fuzz_files [--inputs N] [--first I] [READER...]      all readers when none is named
///
/// To be built with the sanitizers (cmake --preset dev). An input that is neither read nor refused stays where the last
/// line says, and the exit code is 1. Files go to TMPDIR, or to /dev/shm.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/codec.h"
#include "data/idx.h"
#include "data/image_io.h"
#include "data/lmdb.h"
#include "data/mat5.h"
#include "tensor/error.h"
#include "tensor/io/npy.h"
#include "tensor/io/npz.h"
#include "tensor/io/torch_file.h"
#include "tensor/io/weights.h"
#include "tests/lmdb_writer.h"
#include "tests/mutations.h"

namespace damc {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

constexpr int kMostSeconds = 30;  // of the processor for one input; the slowest take a hundredth of that
constexpr std::int64_t kMostBytes = 1 << 24;

/// The files of a zip archive by their names, in it the order of writing is alphabetical.
using Entries = std::map<std::string, Bytes>;

Entries entries_of(const fs::path& file) {
  const ZipArchive archive(file);
  Entries entries;
  for (const auto& [name, size] : archive.sizes()) entries[name] = archive.read(name);
  return entries;
}

void write_entries(const fs::path& path, const Entries& entries) {
  AtomicFile file(path);
  ZipWriter archive(file);
  for (const auto& [name, content] : entries) archive.add(name, content);
  archive.finish();
  file.commit();
}

struct Reader {
  const char* name;
  std::vector<fs::path> good;
  std::function<void(const fs::path&)> read;
  std::size_t block = 200;  ///< there are headers behind every multiple of it, see mutated
  std::vector<Entries> archives =
      {};  ///< of zip archives: their content is damaged, too, under checksums that hold
};

/// Half of the archives are damaged within one entry, most often in their pickle.
void write_damaged(const Reader& reader, std::mt19937& random, const fs::path& path) {
  const std::size_t which = random() % reader.good.size();
  if (reader.archives.empty() || random() % 2) {
    const Bytes good = read_file(reader.good[which], kMostBytes);
    atomic_write_file(path, mutated(good, reader.block, random));
    return;
  }
  Entries entries = reader.archives[which];
  auto entry = std::next(entries.begin(), static_cast<std::ptrdiff_t>(random() % entries.size()));
  for (auto it = entries.begin(); it != entries.end() && random() % 4; ++it) {
    if (it->first.ends_with("data.pkl")) entry = it;
  }
  if (!entry->second.empty()) entry->second = mutated(entry->second, 200, random);
  write_entries(path, entries);
}

char under_way[100];  // what the alarm says

/// From now on; 0: no more.
void allow_seconds(int seconds) {
  const itimerval limit{{0, 0}, {seconds, 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);
}

void on_alarm(int) {
  constexpr char words[] = " takes too long\n";
  for (const char* text : {static_cast<const char*>(under_way), words}) {
    if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  }
  ::_exit(1);
}

/// False when an input was neither read nor refused.
bool fuzz(const Reader& reader, std::uint32_t first, std::uint32_t inputs, const fs::path& path) {
  std::uint32_t read = 0, refused = 0;
  for (std::uint32_t i = first; i < first + inputs; ++i) {
    std::mt19937 random(i);
    write_damaged(reader, random, path);
    *fmt::format_to_n(under_way, sizeof under_way - 1, "{}: input {}", reader.name, i).out = '\0';
    allow_seconds(kMostSeconds);
    try {
      reader.read(path);
      ++read;
    } catch (const UserError&) {
      ++refused;
    } catch (const std::exception& error) {
      fmt::print("{}: {} ({})\n", under_way, error.what(), path.string());
      return false;
    }
    allow_seconds(0);
  }
  fmt::print("{:<12} {:>8} inputs: {} refused, {} read\n", reader.name, inputs, refused, read);
  std::fflush(stdout);
  return true;
}

/// Good files of our own making, beside those of other programs.
void write_good_files(const fs::path& folder) {
  const Tensor matrix = Tensor::full({3, 4}, 0.5), numbers = Tensor::full({5}, 3, Dtype::i64);
  write_npy(folder / "matrix.npy", matrix);
  write_npy(folder / "numbers.npy", numbers);
  write_safetensors(folder / "some.safetensors", {{"a.weight", matrix}, {"a.n", numbers}},
                    {{"key", "value"}});
  write_torch_file(folder / "small.pth", {TorchDict{{"w", {stored(matrix)}}, {"n", {std::int64_t{3}}}}});
  const std::vector<std::uint8_t> bytes(2 * 4 * 5 * 3, 77);
  write_idx(folder / "some.idx", {2, 4, 5, 3}, bytes);
  write_png(folder / "colour.png", bytes, 8, 5, 3);
  write_png(folder / "grey.png", bytes, 12, 10, 1);
  std::vector<KeyValue> pairs;  // in the leaves, and in pages of their own
  for (std::size_t i = 0; i < 40; ++i)
    pairs.push_back({fmt::format("key {}", i), std::string(i % 5 == 0 ? 500 * i : 7 * i, 'v')});
  write_lmdb(folder / "lmdb", pairs);
}

/// Reads all of a database.
void read_lmdb(const fs::path& path) {
  const Lmdb lmdb(path);
  std::size_t sum = 0;
  for (std::int64_t i = 0; i < lmdb.size(); ++i) {
    sum += lmdb.key(i).size();
    for (const std::byte b : lmdb.value(i)) sum += static_cast<std::size_t>(b);
  }
  volatile std::size_t kept = sum;  // so that every byte is read
  static_cast<void>(kept);
}

std::vector<Reader> all_readers(const fs::path& own) {
  const fs::path golden = fs::path(DAMC_SOURCE_DIR) / "tests/golden", files = golden / "files";
  const auto webp = [&](const char* name) { return golden / "images" / fmt::format("{}.webp", name); };
  const auto read_weight_file = [](const fs::path& path) { read_weights(path); };
  const auto read_arrays = [](const fs::path& path) {
    const NpzFile file(path);
    for (const std::string& name : file.names()) file.read(name);
  };
  std::vector<Reader> readers = {
      {"pth", {files / "state.pth", own / "small.pth"}, read_weight_file},
      {"legacy-pth", {files / "legacy.pth"}, read_weight_file},
      {"npz", {files / "stats.npz", files / "stats-deflated.npz"}, read_arrays},
      {"npy",
       {own / "matrix.npy", own / "numbers.npy", golden / "apply/z.npy"},
       [](const fs::path& path) { read_npy(path); }},
      {"safetensors", {own / "some.safetensors"}, read_weight_file},
      {"mat",
       {files / "arrays.mat"},
       [](const fs::path& path) {
         read_mat5(path, {"X", "y"}, "a hint");
       }},
      {"idx", {own / "some.idx"}, [](const fs::path& path) { read_idx(path, 4); }},
      {"png", {own / "colour.png", own / "grey.png"}, [](const fs::path& path) { read_image(path); }},
      {"jpeg",
       {files / "baseline.jpg", files / "progressive.jpg"},
       [](const fs::path& path) { read_image(path); }},
      {"webp",
       {webp("lossy"), webp("lossless"), webp("alpha"), webp("alpha-lossless"), webp("animated")},
       [](const fs::path& path) { read_image(path); }},
      {"lmdb", {own / "lmdb/data.mdb"}, read_lmdb, 4096},
  };
  for (Reader& reader : readers) {
    reader.read(reader.good[0]);
    if (std::string_view(reader.name) != "pth" && std::string_view(reader.name) != "npz") continue;
    for (const fs::path& file : reader.good) reader.archives.push_back(entries_of(file));
  }
  return readers;
}

/// In memory where there is such a place: a million files are written.
fs::path make_folder() {
  const fs::path memory = "/dev/shm";
  const bool use_memory = !std::getenv("TMPDIR") && fs::is_directory(memory);
  const fs::path folder =
      (use_memory ? memory : fs::temp_directory_path()) / fmt::format("damc-fuzz-{}", ::getpid());
  fs::create_directories(folder);
  return folder;
}

int run(std::vector<std::string> arguments) {
  const auto take_number = [&](const char* option, std::uint32_t otherwise) {
    const auto found = std::ranges::find(arguments, option);
    if (found == arguments.end() || found + 1 == arguments.end()) return otherwise;
    const std::string& text = *(found + 1);
    std::from_chars(text.data(), text.data() + text.size(), otherwise);
    arguments.erase(found, found + 2);
    return otherwise;
  };
  const std::uint32_t inputs = take_number("--inputs", 3000), first = take_number("--first", 0);
  const fs::path folder = make_folder();
  write_good_files(folder);
  ::signal(SIGPROF, on_alarm);
  bool passed = true;
  std::size_t chosen = 0;
  for (const Reader& reader : all_readers(folder)) {
    if (!arguments.empty() && std::ranges::find(arguments, reader.name) == arguments.end()) continue;
    ++chosen;
    passed &= fuzz(reader, first, inputs, folder / fmt::format("damaged-{}", reader.name));
  }
  if (passed) fs::remove_all(folder);
  if (chosen > 0 && chosen >= arguments.size()) return passed ? 0 : 1;
  fmt::print(stderr, "no such reader among: {}\n", fmt::join(arguments, " "));
  return 2;
}

}  // namespace
}  // namespace damc

int main(int argc, char** argv) { return damc::run({argv + 1, argv + argc}); }
