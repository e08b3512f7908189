#include "src/engine/loader.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <fstream>

namespace torc::engine {
namespace {

constexpr char kSymbol[] = "torc_engine_plugin";

// Runs `call`, which belongs to an engine and may throw. False: it did, and `*error` says what.
template <typename Call>
bool Guarded(const Call& call, const std::string& what, std::string* error) {
  try {
    call();
    return true;
  } catch (const std::exception& exception) {
    *error = what + " threw an exception: " + exception.what();
  } catch (...) {
    *error = what + " threw an exception of a type of its own";
  }
  return false;
}

// Why the plugin cannot be used; empty: it can. Looks at no field before it is known to be there.
std::string Objection(const Plugin& plugin) {
  if (plugin.interface_version != kInterfaceVersion) {
    return "is built for version " + std::to_string(plugin.interface_version) +
           " of the engine interface, this torc has version " + std::to_string(kInterfaceVersion) +
           ": build it again with the headers of this torc";
  }
  struct Size {
    const char* name;
    uint32_t theirs;
    size_t ours;
  };
  if (plugin.plugin_bytes != sizeof(Plugin)) {
    return "has " + std::to_string(plugin.plugin_bytes) + " bytes of Plugin, this torc has " +
           std::to_string(sizeof(Plugin)) + ": build it again with the headers of this torc";
  }
  for (const Size& size : {Size{"Op", plugin.op_bytes, sizeof(Op)},
                           Size{"Pending", plugin.pending_bytes, sizeof(Pending)},
                           Size{"EngineOptions", plugin.options_bytes, sizeof(EngineOptions)},
                           Size{"EngineTotals", plugin.totals_bytes, sizeof(EngineTotals)}}) {
    if (size.theirs == size.ours) continue;
    return std::string("has ") + std::to_string(size.theirs) + " bytes of " + size.name +
           ", this torc has " + std::to_string(size.ours) +
           ": build it again with the headers and the compiler of this torc";
  }
  if (plugin.name == nullptr || plugin.name[0] == '\0' || plugin.description == nullptr) {
    return "has no name or no description";
  }
  if (plugin.create == nullptr) return "has no function that creates an engine";
  return "";
}

// Whether a shared object is shorter than its own header says, as one that was not copied whole:
// dlopen would map what is not there, and the process would die of looking at it.
bool IsCutShort(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  ElfW(Ehdr) header;
  const auto read = [&](void* to, size_t size) {
    return static_cast<bool>(file.read(static_cast<char*>(to), static_cast<std::streamsize>(size)));
  };
  // What is no such file at all is dlopen's to tell.
  if (!read(&header, sizeof(header))) return false;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return false;
  if (header.e_phentsize != sizeof(ElfW(Phdr))) return false;
  file.seekg(0, std::ios::end);
  const uint64_t file_bytes = static_cast<uint64_t>(file.tellg());
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  for (uint32_t i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment;
    if (!read(&segment, sizeof(segment))) return true;
    if (segment.p_offset + segment.p_filesz > file_bytes) return true;
  }
  return false;
}

// Whether the object's static objects let themselves be made. An exception from one of them cannot
// cross dlopen, which is C, and ends the process, as any crash of theirs would: so a child tries
// first. What the C++ library says of it goes to stderr.
bool Loads(const char* path) {
  const pid_t child = fork();
  if (child == 0) {
    (void)dlopen(path, RTLD_NOW | RTLD_LOCAL);  // why it cannot be loaded, the parent finds out
    _exit(0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return true;  // not known
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const Plugin* LoadPlugin(const std::string& path, std::string* error) {
  const std::string subject = "engine " + path;
  if (IsCutShort(path)) {
    *error = subject + " cannot be loaded: the file is shorter than its header says";
    return nullptr;
  }
  if (!Loads(path.c_str())) {
    *error = subject + " cannot be loaded: a static object of it throws or crashes";
    return nullptr;
  }
  void* const object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) {
    const char* const reason = dlerror();
    *error = subject + " cannot be loaded: " + (reason != nullptr ? reason : "no reason given");
    return nullptr;
  }
  const auto* const plugin = static_cast<const Plugin*>(dlsym(object, kSymbol));
  if (plugin == nullptr) {
    *error = subject + " is no engine of torc: it does not export " + kSymbol;
    return nullptr;
  }
  if (const std::string objection = Objection(*plugin); !objection.empty()) {
    *error = subject + " " + objection;
    return nullptr;
  }
  return plugin;
}

}  // namespace

const Plugin* FindPlugin(std::string_view choice, std::span<const Plugin* const> built_in,
                         std::string* error) {
  if (choice.find('/') != std::string_view::npos) return LoadPlugin(std::string(choice), error);
  std::string names;
  for (const Plugin* const plugin : built_in) {
    if (choice == plugin->name) return plugin;
    names += (names.empty() ? "" : ", ") + std::string(plugin->name);
  }
  *error = "engine " + std::string(choice) + ": no such engine; there are " + names +
           ", and shared objects by a path with a slash, as in ./engine.so";
  return nullptr;
}

std::unique_ptr<Engine> CreateEngine(const Plugin& plugin, const EngineOptions& options,
                                     std::string* error) {
  Engine* engine = nullptr;
  std::string reason;
  const std::string subject = "engine " + std::string(plugin.name);
  if (!Guarded([&] { engine = plugin.create(options, &reason); }, subject + ": creating it",
               error)) {
    return nullptr;
  }
  if (engine == nullptr) {
    *error = subject + ": " + (reason.empty() ? "it cannot be created, and says not why" : reason);
  }
  return std::unique_ptr<Engine>(engine);
}

std::string DescribePlugins(std::span<const Plugin* const> built_in) {
  constexpr size_t kNameWidth = 8;
  std::string text;
  const auto line = [&](std::string name, const char* description) {
    name.resize(std::max(name.size() + 1, kNameWidth), ' ');
    text += name + description + '\n';
  };
  for (const Plugin* const plugin : built_in) line(plugin->name, plugin->description);
  line("PATH", "an engine in a shared object, as in ./engine.so; docs/engines.md");
  return text;
}

}  // namespace torc::engine
