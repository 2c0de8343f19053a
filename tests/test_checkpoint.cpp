/// States and run folders: which states stay, which one a rollback takes, what is kept when a run goes back.
#include "damc/checkpoint.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "damc/run_folder.h"
#include "tests/tiny_training.h"

using namespace damc;

namespace {

namespace fs = std::filesystem;

/// A folder that goes with the test.
struct TempFolder {
  TempFolder() : path(fs::temp_directory_path() / fmt::format("damc-test-checkpoint-{}", ::getpid())) {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~TempFolder() { fs::remove_all(path); }
  const fs::path path;
};

std::vector<std::int64_t> numbers(const fs::path& folder, const char* kind) {
  std::vector<std::int64_t> all;
  for (const auto& [number, file] : checkpoints(folder, kind)) all.push_back(number);
  return all;
}

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

std::string text(const fs::path& file) {
  std::stringstream all;
  all << std::ifstream(file).rdbuf();
  return all.str();
}

using Numbers = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("the newest two states stay, and the one that a rollback goes to") {
  const TempFolder folder;
  Config c = tiny("mnist-quick", "cpu");
  c.state_every = 4;
  c.keep_models = 3;
  Session session(c);
  const auto save = [&](std::int64_t iterations) {
    const Progress progress{.iterations = iterations, .images_seen = 0, .rollbacks = 0, .data = "none"};
    save_model(folder.path, session.model, progress);
    save_state(folder.path, session.model, session.method, progress);
    return numbers(folder.path, "state");
  };
  CHECK(rollback_state(folder.path, 4) == -1);
  CHECK(save(2) == Numbers{2});
  CHECK(rollback_state(folder.path, 4) == 2);  // none that state_every saved
  CHECK(save(4) == Numbers{2, 4});
  CHECK(save(5) == Numbers{4, 5});
  CHECK(save(6) == Numbers{4, 5, 6});  // interruptions do not cost the regular state
  CHECK(rollback_state(folder.path, 4) == 4);
  CHECK(save(8) == Numbers{6, 8});
  CHECK(rollback_state(folder.path, 4) == 8);
  CHECK(rollback_state(folder.path, 0) == 6);
  CHECK(numbers(folder.path, "model") == Numbers{5, 6, 8});
}

TEST_CASE("a state says where the run stood") {
  const TempFolder folder;
  Session session(tiny("mnist-quick", "cpu")), other(tiny("mnist-quick", "cpu"));
  session.iterate(0, 2);
  save_state(folder.path, session.model, session.method,
             {.iterations = 2, .images_seen = 7, .rollbacks = 3, .data = "some images"});
  const SavedState state = read_state(folder.path, 2);
  CHECK(state.progress.iterations == 2);
  CHECK(state.progress.images_seen == 7);
  CHECK(state.progress.rollbacks == 3);
  CHECK(state.progress.data == "some images");
  CHECK(changes(state.config, session.model.config).empty());
  load_state(state, other.model, other.method);
  CHECK(same(other.state(), session.state()));
}

TEST_CASE("a run that goes back keeps what was there, and nothing of what came after") {
  const TempFolder parent;
  const fs::path folder = make_run_folder(parent.path, "mnist-quick", tiny("mnist-quick", "cpu"));
  CHECK(folder.filename() == "00000-mnist-quick");
  CHECK(make_run_folder(parent.path, "svhn", tiny("svhn", "cpu")).filename() == "00001-svhn");
  for (const char* name :
       {"model-000004.safetensors", "model-000006.safetensors", "state-000006.safetensors",
        "grids/reals-000000.png", "grids/a-b-000004.png", "grids/a-b-000005.png", "notes-9.txt"}) {
    write(folder / name, "");
  }
  write(folder / "stats.jsonl", "{\"iteration\": 4}\n{\"iteration\": 5}\n{\"iter");
  write(folder / "log.txt",
        "iteration 4  of before there was a time\n2026-01-31T23:59:59Z iteration 4  loss\n"
        "2026-01-31T23:59:59Z iteration 5  loss\n2026-01-31T23:59:59Z stopped after iteration 5\n");
  rewind_run(folder, 4);
  for (const char* name :
       {"model-000004.safetensors", "grids/reals-000000.png", "grids/a-b-000004.png", "notes-9.txt"}) {
    CHECK_MESSAGE(fs::exists(folder / name), name);
  }
  for (const char* name : {"model-000006.safetensors", "state-000006.safetensors", "grids/a-b-000005.png"}) {
    CHECK_MESSAGE(!fs::exists(folder / name), name);
  }
  CHECK(text(folder / "stats.jsonl") == "{\"iteration\": 4}\n");
  CHECK(text(folder / "log.txt") ==
        "iteration 4  of before there was a time\n2026-01-31T23:59:59Z iteration 4  loss\n"
        "2026-01-31T23:59:59Z stopped after iteration 5\n");
  CHECK(text(folder / "config.toml") == to_toml(tiny("mnist-quick", "cpu")));
}

TEST_CASE("weights of other widths, or without one: the file, the weight and the keys to look at") {
  const TempFolder folder;
  const Config config = tiny("mnist-quick", "cpu");
  save_model(folder.path, Model(config), {.iterations = 2, .images_seen = 4, .rollbacks = 0, .data = ""});
  const fs::path file = folder.path / "model-000002.safetensors";
  Config wider = config;
  wider.ngf = 3;
  CHECK_THROWS_WITH_AS(load_model(file, 2, wider),
                       doctest::Contains("model-000002.safetensors: weight 'G.gen."), UserError);
  CHECK_THROWS_WITH_AS(load_model(file, 2, wider),
                       doctest::Contains("\nhint: check the preset and its widths"), UserError);
  StateDict weights = Model(config).state_dict();
  weights.erase("E.ebm.4.bias");
  write_safetensors(file, weights);
  CHECK_THROWS_WITH_AS(load_model(file, 2, config),
                       doctest::Contains("no weight named 'E.ebm.4.bias'\nhint: check"), UserError);
}
