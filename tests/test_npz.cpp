/// .npz files: what numpy has written (tests/golden/make_files.py), and damaged ones.
#include <cstring>

#include "tensor/io/npz.h"
#include "tensor_files.h"

using namespace damc;

namespace {

const fs::path kFiles = fs::path(DAMC_SOURCE_DIR) / "tests/golden/files";

void read_all(const fs::path& path) {
  const NpzFile file(path);
  for (const std::string& name : file.names()) file.read(name);
}

}  // namespace

TEST_CASE("npz: statistics as numpy writes them, stored and deflated") {
  for (const char* name : {"stats.npz", "stats-deflated.npz"}) {
    CAPTURE(name);
    const NpzFile file(kFiles / name);
    CHECK(file.names() == std::vector<std::string>{"mu", "sigma"});
    const Tensor mu = file.read("mu"), sigma = file.read("sigma");
    REQUIRE(mu.shape() == Shape{5});
    REQUIRE(sigma.shape() == Shape{5, 5});
    CHECK(mu.dtype() == Dtype::f64);
    const std::vector<double> m = mu.to_vector<double>(), s = sigma.to_vector<double>();
    for (std::size_t i = 0; i < 5; ++i) {
      CHECK(m[i] == static_cast<double>(i) / 7);
      for (std::size_t j = 0; j < 5; ++j) CHECK(s[5 * i + j] == m[i] * m[j] + (i == j ? 1.0 : 0.0));
    }
  }
}

TEST_CASE("npz: what is not there or damaged is named") {
  const TempFile file;
  file.write(TempFile::content(kFiles / "stats.npz"));
  const auto message = [&](const std::string& array) {
    return refusal(file, [&](const fs::path& path) { NpzFile(path).read(array); });
  };
  CHECK(message("nu").find("holds no array \"nu\"\nhint: it holds \"mu\", \"sigma\"") != std::string::npos);
  std::string bytes = file.bytes();
  bytes[bytes.find("NUMPY")] = 'X';
  file.write(bytes);
  CHECK(message("mu").find("CRC") != std::string::npos);
  file.write(bytes.substr(0, bytes.size() - 1));
  CHECK(message("mu").find("not a whole zip archive") != std::string::npos);
  file.write(TempFile::content(kFiles / "state.pth"));
  CHECK(message("mu").find("is it an .npz file?") != std::string::npos);
}

TEST_CASE("npz: an array inside is refused as one in a file of its own") {
  const TempFile file;
  AtomicFile out(file.path());
  ZipWriter archive(out);
  archive.add("a.npy", std::as_bytes(std::span("no array", 8)));
  archive.finish();
  out.commit();
  const std::string message = refusal(file, [&](const fs::path& path) { NpzFile(path).read("a"); });
  CHECK(message.find("': array \"a\": not a .npy file") != std::string::npos);
}

TEST_CASE("npz: an archive that unpacks to more than anybody should is refused before it is") {
  const TempFile file;
  std::string bytes = TempFile::content(kFiles / "stats-deflated.npz");
  // The unpacked size of the last entry in the directory: 24 bytes after its signature.
  const std::size_t directory = bytes.rfind("PK\1\2");
  const std::uint32_t claimed = 0xfffffff0;
  std::memcpy(bytes.data() + directory + 24, &claimed, sizeof claimed);
  file.write(bytes);
  const std::string message = refusal(file, read_all);
  CHECK(message.find("too many for a file of") != std::string::npos);
}

TEST_CASE("npz: 2000 mutations") {
  const TempFile file;
  file.write(TempFile::content(kFiles / "stats.npz"));
  fuzz(file, read_all);
  file.write(TempFile::content(kFiles / "stats-deflated.npz"));
  fuzz(file, read_all);
}
