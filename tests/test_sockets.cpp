/// Processes that reach each other by TCP, as threads of this one; whoever comes to the door; what launchers say.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <thread>

#include "tensor/processes/launch.h"
#include "tensor/processes/sockets.h"

using namespace damc;
using namespace std::chrono_literals;

namespace {

const std::string kHost = "127.0.0.1";
Deadline soon() { return std::chrono::steady_clock::now() + 10s; }

/// A port that nobody has; it may be taken at once.
std::uint16_t free_port() { return port_of(listen_at(kHost, 0)); }

Meeting meeting(Part part, std::uint16_t port, std::chrono::milliseconds patience = 20s) {
  return {.part = part, .host = kHost, .port = port, .job = "job 1", .patience = patience};
}

/// `work` of each of `count` processes; what it throws is returned in the place of "".
std::vector<std::string> in_processes(std::int64_t count,
                                      const std::function<void(const Communicator&)>& work) {
  const std::uint16_t port = free_port();
  std::vector<std::future<std::string>> all;
  for (std::int64_t p = 0; p < count; ++p) {
    all.push_back(std::async(std::launch::async, [&work, p, count, port]() -> std::string {
      try {
        work(*join_by_sockets(meeting({p, count}, port)));
      } catch (const std::exception& error) {
        return error.what();
      }
      return "";
    }));
  }
  std::vector<std::string> ends;
  for (auto& one : all) ends.push_back(one.get());
  return ends;
}

/// What joining throws, as a text.
std::future<std::string> joining(Meeting with) {
  return std::async(std::launch::async, [with]() -> std::string {
    try {
      join_by_sockets(with)->wait();
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  });
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

/// Sends bytes to a port, as anybody may.
Socket stranger(std::uint16_t port, const std::string& bytes) {
  Socket connection = connect_to(kHost, port, soon());
  REQUIRE(send_all(connection, std::as_bytes(std::span(bytes)), soon()));
  return connection;
}

/// Variables of the environment, for a while; those of all launchers are taken away.
class Environment {
 public:
  explicit Environment(const std::vector<std::pair<std::string, std::string>>& values) {
    for (const char* name : kNames) {
      const char* value = std::getenv(name);
      before_.emplace_back(name, value ? std::optional<std::string>(value) : std::nullopt);
      ::unsetenv(name);
    }
    for (const auto& [name, value] : values) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [name, value] : before_) {
      if (value) {
        ::setenv(name.c_str(), value->c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }

 private:
  static constexpr const char* kNames[] = {"DAMC_PROCESS",
                                           "DAMC_PROCESSES",
                                           "DAMC_PORT",
                                           "DAMC_JOB",
                                           "DAMC_LISTENER",
                                           "RANK",
                                           "WORLD_SIZE",
                                           "MASTER_ADDR",
                                           "MASTER_PORT",
                                           "TORCHELASTIC_RUN_ID",
                                           "TORCHELASTIC_USE_AGENT_STORE",
                                           "OMPI_COMM_WORLD_RANK",
                                           "OMPI_COMM_WORLD_SIZE",
                                           "PMI_RANK",
                                           "PMI_SIZE",
                                           "SLURM_PROCID",
                                           "SLURM_STEP_NUM_TASKS",
                                           "SLURM_STEP_NODELIST",
                                           "SLURM_JOB_ID",
                                           "SLURM_STEP_ID"};
  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

}  // namespace

TEST_CASE("sums are in the order of the processes, to the last bit, and all get the same") {
  for (const std::int64_t count : {2, 3, 4}) {
    CAPTURE(count);
    const auto value = [](std::int64_t process, std::int64_t i) {
      return 1.1f * static_cast<float>(process + 1) / static_cast<float>(i % 977 + 1);
    };
    constexpr std::int64_t kLarge = 1'000'003;  // 4 MB both ways at once, in slices that do not divide
    const auto ends = in_processes(count, [&](const Communicator& all) {
      const Tensor large = Tensor::empty({kLarge}), small = Tensor::full({2, 2}, 0.1, Dtype::f32);
      for (std::int64_t i = 0; i < kLarge; ++i) large.data<float>()[i] = value(all.part().index, i);
      for (int turn = 0; turn < 3; ++turn) {
        const std::vector<Tensor> sums = all.sum({large, small});
        std::int64_t other = 0;
        for (std::int64_t i = 0; i < kLarge; ++i) {
          float expected = value(0, i);
          for (std::int64_t p = 1; p < count; ++p) expected += value(p, i);
          other += sums[0].data<float>()[i] != expected;
        }
        CHECK(other == 0);
        CHECK(sums[1].shape() == Shape{2, 2});
      }
      const Tensor f64 = all.sum({Tensor::full({3}, 0.1, Dtype::f64)})[0];
      CHECK(f64.to_vector<double>()[2] == doctest::Approx(0.1 * static_cast<double>(count)));
    });
    for (const std::string& end : ends) CHECK(end == "");
  }
}

TEST_CASE("rows, texts of any length and numbers of all processes, in their order") {
  const auto ends = in_processes(3, [](const Communicator& all) {
    const std::int64_t index = all.part().index;
    const std::vector<double> rows =
        all.gather(Tensor::full({2, 3}, static_cast<double>(index))).to_vector<double>();
    REQUIRE(rows.size() == 18);
    for (std::size_t i = 0; i < rows.size(); ++i) CHECK(rows[i] == static_cast<double>(i / 6));
    CHECK(all.gather(Tensor::empty({0, 3})).shape() == Shape{0, 3});
    constexpr std::size_t kSizes[] = {0, 5'000'000, 1};
    const auto texts =
        all.gather(std::string(kSizes[static_cast<std::size_t>(index)], static_cast<char>('a' + index)));
    for (std::size_t p = 0; p < 3; ++p)
      CHECK((texts[p] == std::string(kSizes[p], static_cast<char>('a' + p))));
    CHECK(all.max(-5 + index) == -3);
    CHECK(all.max(std::int64_t{1} << 62) == std::int64_t{1} << 62);
  });
  for (const std::string& end : ends) CHECK(end == "");
}

TEST_CASE("a process that ends in the midst of it all ends the others, which know which it was") {
  std::atomic<int> gone = 0;
  const auto leave = [&](const Communicator& all, const std::function<void()>& end) {
    all.wait();
    if (all.part().index == 2) return end();
    try {
      const Tensor large = Tensor::zeros({3'000'000});
      for (;;) all.sum({large});
    } catch (const ProcessGone& error) {
      CHECK(error.process == 2);
      gone += error.told ? 100 : 1;
      throw;
    }
  };
  auto ends = in_processes(4, [&](const Communicator& all) { leave(all, [] {}); });
  CHECK(gone == 3);
  for (const std::size_t p : {0u, 1u, 3u}) CHECK(has(ends[p], "process 2 of 4 ("));
  gone = 0;
  ends = in_processes(4, [&](const Communicator& all) { leave(all, [] { throw Error("its own"); }); });
  CHECK(gone == 300);
  CHECK(ends[2] == "its own");
}

TEST_CASE("the end of another is noticed beside the work, unless it is done") {
  const std::uint16_t port = free_port();
  const auto come = [&](std::int64_t p) { return join_by_sockets(meeting({p, 3}, port)); };
  // What process 0 is told of the two others while it does something else.
  const auto noticed = [&](std::chrono::milliseconds within, const std::function<void(std::int64_t)>& other) {
    std::promise<std::string> told;
    std::vector<std::thread> others;
    for (const std::int64_t p : {1, 2}) others.emplace_back([&other, p] { other(p); });
    const auto mine = join_by_sockets(meeting({0, 3}, port), [&](const ProcessGone& gone) {
      told.set_value(gone.told ? std::string(gone.what()) + ", as it says" : gone.what());
    });
    for (std::thread& thread : others) thread.join();
    std::future<std::string> message = told.get_future();
    return message.wait_for(within) == std::future_status::ready ? message.get() : "";
  };
  CHECK(noticed(2500ms, [&](std::int64_t p) { come(p); }) == "");
  const std::string cut = noticed(20s, [&](std::int64_t p) {
    if (p == 1) {
      come(p);
    } else {
      meet(meeting({p, 3}, port));  // closes its connections without a word
    }
  });
  CHECK(cut.starts_with("process 2 of 3 ("));
  CHECK(cut.ends_with(") is gone"));
  const std::string failed = noticed(20s, [&](std::int64_t p) {
    try {
      const auto joined = come(p);
      if (p == 1) throw Error("its own");
    } catch (const Error&) {
    }
  });
  CHECK(failed.starts_with("process 1 of 3 ("));
  CHECK(failed.ends_with(") is gone, as it says"));
}

TEST_CASE("processes that do not send what is due are found out") {
  const auto ends = in_processes(
      2, [](const Communicator& all) { all.sum({Tensor::zeros({all.part().index == 0 ? 10 : 20})}); });
  CHECK((has(ends[0], "sends 40 bytes where 20 are due") || has(ends[1], "sends 20 bytes where 40 are due")));
}

TEST_CASE("who is no process of the job is not let in, and keeps nobody from it") {
  const std::uint16_t port = free_port();
  auto first = joining(meeting({0, 2}, port));
  std::vector<Socket> strangers;
  strangers.push_back(stranger(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  strangers.push_back(stranger(port, ""));
  strangers.push_back(stranger(port, "1pctcmad"));                 // and nothing more
  strangers.push_back(stranger(port, std::string(5000, '\xff')));  // more than is asked for
  strangers.push_back(stranger(port, "1pctcmad" + std::string(400, '\xff')));
  strangers.push_back(stranger(port, "1pctcmad" + std::string(216, '\0')));
  for (int i = 0; i < 200; ++i) strangers.push_back(stranger(port, ""));
  std::byte answer[8];
  CHECK_FALSE(receive_all(strangers[0], answer, soon()));  // closed at once
  Meeting other = meeting({1, 2}, port);
  other.job = "job 2";
  CHECK(has(joining(other).get(), "process 1 of job 'job 2' came to job 'job 1'"));
  CHECK(has(joining(meeting({1, 3}, port)).get(), "process 1 of 3 came to one of 2"));
  CHECK(joining(meeting({1, 2}, port)).get() == "");
  CHECK(first.get() == "");
}

TEST_CASE("who is missing is named in time, to all that are there") {
  const std::uint16_t port = free_port();
  auto first = joining(meeting({0, 4}, port, 1500ms)), second = joining(meeting({2, 4}, port, 1500ms));
  const std::string message = first.get();
  CHECK(has(message, "processes 1, 3 of 4 did not come to 127.0.0.1 port"));
  CHECK(has(message, "in 1.5 s"));
  CHECK(has(second.get(), "process 2 of 4 cannot join the others: processes 1, 3 of 4 did not come"));
  Meeting nobody = meeting({1, 2}, port, 0ms);
  CHECK(has(joining(nobody).get(), "nobody answers at 127.0.0.1 port"));
  nobody.host = "no.such.host.invalid";
  CHECK(has(joining(nobody).get(), "nobody answers at no.such.host.invalid port"));
  const Socket taken = listen_at(kHost, 0);
  CHECK(has(joining(meeting({0, 2}, port_of(taken))).get(), "cannot wait for other processes at port"));
}

TEST_CASE("a socket does not connect to itself") {
  const std::uint16_t port = free_port();  // of those that connections begin at
  CHECK_THROWS_AS(connect_to(kHost, port, std::chrono::steady_clock::now() + 300ms), Error);
}

TEST_CASE("the first of Slurm's nodes") {
  for (const auto& [nodes, first] :
       std::vector<std::pair<std::string, std::string>>{{"node03", "node03"},
                                                        {"a,b", "a"},
                                                        {"node[03-07,9],other", "node03"},
                                                        {"node[9,11]", "node9"},
                                                        {"n[001]-ib", "n001-ib"},
                                                        {"r[1-2]n[04-05],x", "r1n04"},
                                                        {"node[03", ""},
                                                        {"", ""}}) {
    const std::string found = first_host(nodes);
    CHECK(found == first);
  }
}

TEST_CASE("what launchers say") {
  const auto check = [](const std::string& by, std::int64_t index, std::int64_t count) {
    const Launch found = launched();
    CHECK(found.by == by);
    CHECK(found.part.index == index);
    CHECK(found.part.count == count);
  };
  {
    const Environment none({});
    check("", 0, 1);
  }
  {
    const Environment torchrun({{"RANK", "2"},
                                {"WORLD_SIZE", "4"},
                                {"MASTER_ADDR", "node1"},
                                {"MASTER_PORT", "29500"},
                                {"TORCHELASTIC_RUN_ID", "x"},
                                {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                {"SLURM_PROCID", "0"},  // of torchrun itself, under srun
                                {"SLURM_STEP_NUM_TASKS", "2"}});
    check("torchrun", 2, 4);
    const Meeting where = meeting_of(launched());
    CHECK(where.host == "node1");
    CHECK(where.port == 29501);
    CHECK(where.job == "x");
    ::setenv("DAMC_PORT", "4000", 1);
    CHECK(meeting_of(launched()).port == 4000);
    ::setenv("DAMC_PORT", "99999", 1);
    CHECK_THROWS_WITH_AS(meeting_of(launched()), doctest::Contains("DAMC_PORT = '99999' is no port"),
                         UserError);
  }
  {
    const Environment srun({{"SLURM_PROCID", "1"},
                            {"SLURM_STEP_NUM_TASKS", "8"},
                            {"SLURM_STEP_NODELIST", "n[02-03]"},
                            {"SLURM_JOB_ID", "123456"},
                            {"SLURM_STEP_ID", "1"}});
    check("srun", 1, 8);
    const Meeting where = meeting_of(launched());
    CHECK(where.host == "n02");
    CHECK(where.port == 23457);
    CHECK(where.job == "123456.1");
  }
  {
    const Environment mpirun(
        {{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"PMI_RANK", "x"}});
    check("mpirun", 1, 2);
    CHECK_THROWS_WITH_AS(meeting_of(launched()), doctest::Contains("each would work by itself"), UserError);
  }
  const Environment own({});
  set_launched_by_damc({0, 2}, 7, 4242, "secret");
  check("damc", 0, 2);
  CHECK(meeting_of(launched()).listener == 7);
  CHECK(meeting_of(launched()).host == kHost);
}
