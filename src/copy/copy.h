// `torc --dump` and `torc --load`: a cache's items to a file and back, by memcached's text protocol
// alone, so that either end may be memcached.
//
//   dump    lru_crawler metadump hash --> keys, expiry --> gets in batches --> FILE.part --> FILE
//   load    FILE --> adds in batches
//
// Owner: main. Affinity: one thread, no server runs in this process. Lifetime: the process.
// Invariant: FILE is whole or not there.
#ifndef TORC_SRC_COPY_COPY_H_
#define TORC_SRC_COPY_COPY_H_

namespace torc::copy {

// Whether the command line asks for a copy.
[[nodiscard]] bool WantsCopy(int argc, char** argv);
// Does it. Returns the exit status.
[[nodiscard]] int RunCopy(int argc, char** argv);

}  // namespace torc::copy

#endif  // TORC_SRC_COPY_COPY_H_
