/// Databases for tests, written by the LMDB library. Throws Error when it cannot.
#pragma once

#include <lmdb.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tensor/error.h"

namespace damc {

inline void check_lmdb(int code) { ENSURE(code == MDB_SUCCESS, "{}", mdb_strerror(code)); }

struct KeyValue {
  std::string key, value;
};

/// Runs `body` in one transaction on the database in `folder`, which is made.
inline void with_lmdb(const std::filesystem::path& folder, const std::function<void(MDB_txn*)>& body) {
  std::filesystem::create_directories(folder);
  MDB_env* environment = nullptr;
  MDB_txn* transaction = nullptr;
  check_lmdb(mdb_env_create(&environment));
  check_lmdb(mdb_env_set_mapsize(environment, std::size_t{1} << 28));
  check_lmdb(mdb_env_set_maxdbs(environment, 4));
  check_lmdb(mdb_env_open(environment, folder.c_str(), MDB_NOSYNC, 0644));
  check_lmdb(mdb_txn_begin(environment, nullptr, 0, &transaction));
  body(transaction);
  check_lmdb(mdb_txn_commit(transaction));
  mdb_env_close(environment);
}

inline void put(MDB_txn* transaction, MDB_dbi database, const KeyValue& pair) {
  MDB_val key{pair.key.size(), const_cast<char*>(pair.key.data())};
  MDB_val value{pair.value.size(), const_cast<char*>(pair.value.data())};
  check_lmdb(mdb_put(transaction, database, &key, &value, 0));
}

/// Adds the pairs to the database in `folder`, which is made.
inline void write_lmdb(const std::filesystem::path& folder, const std::vector<KeyValue>& pairs) {
  with_lmdb(folder, [&](MDB_txn* transaction) {
    MDB_dbi database = 0;
    check_lmdb(mdb_dbi_open(transaction, nullptr, 0, &database));
    for (const KeyValue& pair : pairs) put(transaction, database, pair);
  });
}

/// Two databases with names.
inline void write_several_databases(const std::filesystem::path& folder) {
  with_lmdb(folder, [&](MDB_txn* transaction) {
    for (const char* name : {"one", "two"}) {
      MDB_dbi database = 0;
      check_lmdb(mdb_dbi_open(transaction, name, MDB_CREATE, &database));
      put(transaction, database, {"key", "value"});
    }
  });
}

}  // namespace damc
