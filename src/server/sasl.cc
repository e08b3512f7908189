#include "src/server/sasl.h"

#include <dlfcn.h>
#include <sasl/sasl.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "src/base/file_text.h"
#include "src/server/auth.h"

namespace torc::server::sasl {
namespace {

constexpr char kLibraryFile[] = "libsasl2.so.2";
// The name by which the library finds its configuration: an operator's memcached.conf goes on to
// serve, and clients name the service so where a mechanism asks for it.
constexpr char kServiceName[] = "memcached";

// The functions that are used, as the header declares them.
struct Functions {
  decltype(&sasl_set_mutex) set_mutex = nullptr;
  decltype(&sasl_server_init) server_init = nullptr;
  decltype(&sasl_server_done) server_done = nullptr;
  decltype(&sasl_server_new) server_new = nullptr;
  decltype(&sasl_listmech) listmech = nullptr;
  decltype(&sasl_server_start) server_start = nullptr;
  decltype(&sasl_server_step) server_step = nullptr;
  decltype(&sasl_getprop) getprop = nullptr;
  decltype(&sasl_dispose) dispose = nullptr;
  decltype(&sasl_errstring) errstring = nullptr;
};

// Sessions of several shards use the library at the same time; without these it takes no locks.
void* NewMutex() { return new (std::nothrow) std::mutex; }
int Lock(void* mutex) {
  static_cast<std::mutex*>(mutex)->lock();
  return 0;
}
int Unlock(void* mutex) {
  static_cast<std::mutex*>(mutex)->unlock();
  return 0;
}
void DeleteMutex(void* mutex) { delete static_cast<std::mutex*>(mutex); }

// What the library asks of torc. Constant once it is loaded.
struct Settings {
  const UserFile* users = nullptr;
  std::string password_database;  // MEMCACHED_SASL_PWDB; empty: none
  bool verbose = false;
};

// Options that torc decides instead of a configuration file: with a user file, nothing else may let
// anybody in, and mechanisms that would not ask it are not offered. Where CheckPassword says no,
// the library asks the plug-ins of auxprop_plugin: there are none of that name.
struct Decided {
  std::string_view name;
  const char* value;
};
constexpr Decided kWithUsers[] = {
    {"mech_list", "PLAIN LOGIN"},
    {"pwcheck_method", "auxprop"},
    {"auxprop_plugin", "none"},
};

int GetOption(void* context, const char*, const char* option, const char** result, unsigned* size) {
  if (static_cast<const Settings*>(context)->users == nullptr) return SASL_FAIL;
  for (const Decided& decided : kWithUsers) {
    if (decided.name != option) continue;
    *result = decided.value;
    if (size != nullptr) *size = static_cast<unsigned>(std::strlen(decided.value));
    return SASL_OK;
  }
  return SASL_FAIL;
}

int CheckPassword(sasl_conn_t*, void* context, const char* user, const char* password,
                  unsigned password_size, propctx*) {
  const Settings& settings = *static_cast<const Settings*>(context);
  const std::string_view asked(password, password_size);
  // Read each time, as memcached does: an entry that is taken out is out.
  const bool good =
      settings.users != nullptr
          ? settings.users->Check(user, asked)
          : CheckPasswordDatabase(ReadFileText(settings.password_database.c_str()), user, asked);
  return good ? SASL_OK : SASL_NOAUTHZ;
}

// With -v alone: clients can bring about as many of these as they like.
int Log(void* context, int level, const char* message) {
  const bool verbose = static_cast<const Settings*>(context)->verbose;
  if (verbose && level != SASL_LOG_NONE && level <= SASL_LOG_WARN) {
    std::fprintf(stderr, "torc: SASL: %s\n", message);
  }
  return SASL_OK;
}

// The library keeps callbacks of all kinds in one type.
template <typename Function>
int (*Erased(Function* function))() {
  return reinterpret_cast<int (*)()>(reinterpret_cast<void (*)()>(function));
}

class CyrusSession final : public Session {
 public:
  CyrusSession(const Functions& functions, const std::string& host)
      : functions_(functions), host_(host) {}
  ~CyrusSession() override { End(); }

  // False: no memory.
  [[nodiscard]] bool Begin() {
    End();
    return functions_.server_new(kServiceName, host_.empty() ? nullptr : host_.c_str(), nullptr,
                                 nullptr, nullptr, nullptr, 0, &connection_) == SASL_OK;
  }

  // The name of this host, as the library found it.
  std::string Host() const {
    const void* name = nullptr;
    const int result = functions_.getprop(connection_, SASL_SERVERFQDN, &name);
    return result == SASL_OK && name != nullptr ? static_cast<const char*>(name) : "";
  }

  std::string_view Mechanisms() override {
    const char* names = nullptr;
    unsigned size = 0;
    if (connection_ == nullptr && !Begin()) return {};
    const int result =
        functions_.listmech(connection_, nullptr, "", " ", "", &names, &size, nullptr);
    return result == SASL_OK ? std::string_view(names, size) : std::string_view();
  }

  Answer Start(std::string_view mechanism, std::string_view data) override {
    // Anew, whatever went before: a connection of the library's is good for one exchange.
    mechanism_ = mechanism;
    if (!Begin()) return {};
    const char* out = nullptr;
    unsigned size = 0;
    // A first message that is there and empty is another thing than none; clients of memcached that
    // send nothing mean none.
    const int result = functions_.server_start(connection_, mechanism_.c_str(),
                                               data.empty() ? nullptr : data.data(),
                                               static_cast<unsigned>(data.size()), &out, &size);
    return Finish(result, out, size);
  }

  Answer Step(std::string_view mechanism, std::string_view data) override {
    if (!under_way_ || mechanism != mechanism_) return Finish(SASL_BADPROT, nullptr, 0);
    const char* out = nullptr;
    unsigned size = 0;
    const int result = functions_.server_step(connection_, data.data(),
                                              static_cast<unsigned>(data.size()), &out, &size);
    return Finish(result, out, size);
  }

 private:
  Answer Finish(int result, const char* out, unsigned size) {
    under_way_ = result == SASL_CONTINUE;
    const std::string_view data = out == nullptr ? std::string_view() : std::string_view(out, size);
    if (result == SASL_OK) return {Outcome::kDone, data};
    if (result == SASL_CONTINUE) return {Outcome::kContinue, data};
    return {};
  }

  void End() {
    if (connection_ != nullptr) functions_.dispose(&connection_);
    connection_ = nullptr;
    under_way_ = false;
  }

  const Functions& functions_;
  const std::string& host_;
  sasl_conn_t* connection_ = nullptr;
  std::string mechanism_;
  bool under_way_ = false;
};

class CyrusLibrary final : public Library {
 public:
  CyrusLibrary(const UserFile* users, bool verbose) {
    settings_.users = users;
    settings_.verbose = verbose;
    const char* const path = std::getenv("MEMCACHED_SASL_PWDB");
    if (path != nullptr) settings_.password_database = path;
  }
  ~CyrusLibrary() override {
    if (started_) functions_.server_done();
    if (object_ != nullptr) dlclose(object_);
  }

  bool Open(std::string* error) {
    object_ = dlopen(kLibraryFile, RTLD_NOW | RTLD_LOCAL);
    if (object_ == nullptr) {
      *error = std::string("-S: Cyrus SASL cannot be loaded: ") + dlerror() +
               ": install it (Debian: libsasl2-2)";
      return false;
    }
    const bool found = Find("sasl_set_mutex", &functions_.set_mutex) &&
                       Find("sasl_server_init", &functions_.server_init) &&
                       Find("sasl_server_done", &functions_.server_done) &&
                       Find("sasl_server_new", &functions_.server_new) &&
                       Find("sasl_listmech", &functions_.listmech) &&
                       Find("sasl_server_start", &functions_.server_start) &&
                       Find("sasl_server_step", &functions_.server_step) &&
                       Find("sasl_getprop", &functions_.getprop) &&
                       Find("sasl_dispose", &functions_.dispose) &&
                       Find("sasl_errstring", &functions_.errstring);
    if (!found) {
      *error = std::string("-S: ") + kLibraryFile + " lacks what torc needs of it: " + dlerror();
      return false;
    }
    size_t count = 0;
    callbacks_[count++] = {SASL_CB_LOG, Erased(&Log), &settings_};
    callbacks_[count++] = {SASL_CB_GETOPT, Erased(&GetOption), &settings_};
    if (settings_.users != nullptr || !settings_.password_database.empty()) {
      callbacks_[count++] = {SASL_CB_SERVER_USERDB_CHECKPASS, Erased(&CheckPassword), &settings_};
    }
    callbacks_[count++] = {SASL_CB_LIST_END, nullptr, nullptr};
    functions_.set_mutex(&NewMutex, &Lock, &Unlock, &DeleteMutex);
    if (const int result = functions_.server_init(callbacks_.data(), kServiceName);
        result != SASL_OK) {
      *error = std::string("-S: Cyrus SASL does not start: ") +
               functions_.errstring(result, nullptr, nullptr);
      return false;
    }
    started_ = true;
    // Each session that is not told the host's name has the resolver look for it, which may take
    // seconds where the name is in no file, and would let any client hold up its shard.
    CyrusSession session(functions_, host_);
    const bool begun = session.Begin();
    if (begun) host_ = session.Host();
    if (!begun || session.Mechanisms().empty()) {
      *error =
          "-S: Cyrus SASL offers no mechanism: install some (Debian: libsasl2-modules), and see "
          "mech_list in memcached.conf";
      return false;
    }
    return true;
  }

  std::unique_ptr<Session> NewSession() override {
    auto session = std::make_unique<CyrusSession>(functions_, host_);
    if (!session->Begin()) return nullptr;
    return session;
  }

 private:
  template <typename Function>
  bool Find(const char* name, Function* function) {
    *function = reinterpret_cast<Function>(dlsym(object_, name));
    return *function != nullptr;
  }

  Settings settings_;
  std::array<sasl_callback_t, 4> callbacks_{};
  Functions functions_;
  std::string host_;  // empty until the library has found it, at start
  void* object_ = nullptr;
  bool started_ = false;
};

}  // namespace

std::unique_ptr<Library> Library::Load(const UserFile* users, bool verbose, std::string* error) {
  auto library = std::make_unique<CyrusLibrary>(users, verbose);
  if (!library->Open(error)) return nullptr;
  return library;
}

// memcached's reading: the first line of the user decides; the password may be followed by further
// fields behind a colon.
bool CheckPasswordDatabase(std::string_view text, std::string_view user,
                           std::string_view password) {
  bool decided = false;
  bool good = false;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    line = line.substr(0, line.find('\r'));
    if (line.size() <= user.size() || line[user.size()] != ':') continue;
    const bool is_user = SameSecret(line.substr(0, user.size()), user);
    const std::string_view rest = line.substr(user.size() + 1);
    const bool ends = rest.size() == password.size() ||
                      (rest.size() > password.size() && rest[password.size()] == ':');
    const bool is_password = SameSecret(rest.substr(0, password.size()), password) && ends;
    if (is_user && !decided) {
      decided = true;
      good = is_password;
    }
  }
  return good;
}

}  // namespace torc::server::sasl
