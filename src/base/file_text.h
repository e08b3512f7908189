// Reads small files of the kernel's, such as those of /proc. Not by streams: <fstream> brings a
// megabyte of locales into the memory of every server.
//
// Owner: none. Affinity: any. Lifetime: values. Invariant: none.
#ifndef TORC_SRC_BASE_FILE_TEXT_H_
#define TORC_SRC_BASE_FILE_TEXT_H_

#include <string>

namespace torc {

// The whole text of a file; empty where it cannot be read.
std::string ReadFileText(const char* path);

}  // namespace torc

#endif  // TORC_SRC_BASE_FILE_TEXT_H_
