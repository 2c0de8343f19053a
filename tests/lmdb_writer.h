/// Databases for tests, written by the LMDB library.
#pragma once

#include <doctest/doctest.h>
#include <lmdb.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace damc {

struct KeyValue {
  std::string key, value;
};

/// Runs `body` in one transaction on the database in `folder`, which is made.
inline void with_lmdb(const std::filesystem::path& folder, const std::function<void(MDB_txn*)>& body) {
  std::filesystem::create_directories(folder);
  MDB_env* environment = nullptr;
  MDB_txn* transaction = nullptr;
  REQUIRE(mdb_env_create(&environment) == 0);
  REQUIRE(mdb_env_set_mapsize(environment, std::size_t{1} << 28) == 0);
  REQUIRE(mdb_env_set_maxdbs(environment, 4) == 0);
  REQUIRE(mdb_env_open(environment, folder.c_str(), MDB_NOSYNC, 0644) == 0);
  REQUIRE(mdb_txn_begin(environment, nullptr, 0, &transaction) == 0);
  body(transaction);
  REQUIRE(mdb_txn_commit(transaction) == 0);
  mdb_env_close(environment);
}

inline void put(MDB_txn* transaction, MDB_dbi database, const KeyValue& pair) {
  MDB_val key{pair.key.size(), const_cast<char*>(pair.key.data())};
  MDB_val value{pair.value.size(), const_cast<char*>(pair.value.data())};
  REQUIRE(mdb_put(transaction, database, &key, &value, 0) == 0);
}

/// Adds the pairs to the database in `folder`, which is made.
inline void write_lmdb(const std::filesystem::path& folder, const std::vector<KeyValue>& pairs) {
  with_lmdb(folder, [&](MDB_txn* transaction) {
    MDB_dbi database = 0;
    REQUIRE(mdb_dbi_open(transaction, nullptr, 0, &database) == 0);
    for (const KeyValue& pair : pairs) put(transaction, database, pair);
  });
}

/// Two databases with names.
inline void write_several_databases(const std::filesystem::path& folder) {
  with_lmdb(folder, [&](MDB_txn* transaction) {
    for (const char* name : {"one", "two"}) {
      MDB_dbi database = 0;
      REQUIRE(mdb_dbi_open(transaction, name, MDB_CREATE, &database) == 0);
      put(transaction, database, {"key", "value"});
    }
  });
}

}  // namespace damc
