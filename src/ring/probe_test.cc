// The refusals and the doctor's lines are for people who are stuck: each cause must name its own
// cure.
#include "src/ring/probe.h"

#include <doctest/doctest.h>
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "src/ring/deny_system_call.h"
#include "src/ring/doctor.h"

namespace torc::ring {
namespace {

Probe Everything() {
  Probe probe;
  for (size_t i = 0; i < kFeatureCount; ++i) probe.found.Set(static_cast<Feature>(i), true);
  probe.kernel = "6.18.0";
  return probe;
}

Probe Without(Feature feature, int error) {
  Probe probe = Everything();
  probe.found.Set(feature, false);
  probe.system_error[static_cast<size_t>(feature)] = error;
  return probe;
}

Machine GoodMachine() {
  Machine machine;
  machine.open_files_max = 1 << 20;
  machine.memlock_bytes_max = 8 << 20;
  machine.transparent_huge_pages = "madvise";
  machine.huge_pages = 0;
  machine.cores = 4;
  machine.somaxconn = 4096;
  machine.tcp_max_syn_backlog = 4096;
  return machine;
}

struct Reported {
  bool can_run;
  std::string text;
};

Reported ReportOf(const Probe& probe, const Machine& machine) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* const out = open_memstream(&text, &size);
  const bool can_run = Report(probe, machine, out);
  std::fclose(out);
  Reported reported{can_run, std::string(text, size)};
  std::free(text);
  return reported;
}

bool Has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

TEST_CASE("the machine of this test has what torc requires") {
  const Probe probe = RunProbe();
  CHECK(Refusal(probe) == "");
  for (const Feature feature :
       {Feature::kSetup, Feature::kNoDrop, Feature::kTimedWait, Feature::kBufferRing,
        Feature::kMultishotAccept, Feature::kMultishotReceive, Feature::kSend}) {
    CAPTURE(TextOf(feature).name);
    CHECK(probe.found.Has(feature));
  }
}

TEST_CASE("each feature has its text") {
  for (size_t i = 0; i < kFeatureCount; ++i) {
    const FeatureText& text = TextOf(static_cast<Feature>(i));
    CHECK(text.name != nullptr);
    CHECK(text.kernel != nullptr);
    CHECK(text.without != nullptr);
  }
}

TEST_CASE("with everything there is no refusal") { CHECK(Refusal(Everything()) == ""); }

TEST_CASE("a missing fallback feature is no refusal") {
  CHECK(Refusal(Without(Feature::kDeferTaskrun, EINVAL)) == "");
  CHECK(Refusal(Without(Feature::kMessageRing, EINVAL)) == "");
}

TEST_CASE("a missing required feature is named, with the kernel that has it") {
  const std::string refusal = Refusal(Without(Feature::kMultishotReceive, EINVAL));
  CHECK(Has(refusal, "multishot receive"));
  CHECK(Has(refusal, "Linux 6.0"));
  CHECK(Has(refusal, "6.1 or newer"));
}

TEST_CASE("each cause that forbids io_uring names its own cure") {
  Probe off = Without(Feature::kSetup, EPERM);
  off.io_uring_disabled = 2;
  CHECK(Has(Refusal(off), "sysctl -w kernel.io_uring_disabled=0"));

  Probe group = Without(Feature::kSetup, EPERM);
  group.io_uring_disabled = 1;
  CHECK(Has(Refusal(group), "kernel.io_uring_group"));

  Probe container = Without(Feature::kSetup, EPERM);
  container.seccomp_filter = true;
  CHECK(Has(Refusal(container), "--security-opt seccomp="));
  container.system_error[static_cast<size_t>(Feature::kSetup)] = ENOSYS;  // older engines answer so
  CHECK(Has(Refusal(container), "--security-opt seccomp="));

  CHECK(Has(Refusal(Without(Feature::kSetup, EPERM)), "security module"));
  CHECK(Has(Refusal(Without(Feature::kSetup, ENOSYS)), "CONFIG_IO_URING"));
  CHECK(Has(Refusal(Without(Feature::kSetup, ENOMEM)), "ulimit -l"));
  CHECK(Has(Refusal(Without(Feature::kSetup, EMFILE)), "ulimit -n"));
}

TEST_CASE("a container's filter is recognised as such") {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (!DenySystemCall(SYS_io_uring_setup, EPERM)) _exit(1);
    _exit(Has(Refusal(RunProbe()), "--security-opt seccomp=") ? 0 : 2);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("the doctor finds nothing to cure on a good machine") {
  const Reported report = ReportOf(Everything(), GoodMachine());
  CHECK(report.can_run);
  CHECK(Has(report.text, "torc can run here."));
  CHECK(!Has(report.text, "missing"));
  CHECK(!Has(report.text, "  low "));
}

TEST_CASE("the doctor tells a fallback from a refusal") {
  const Reported fallback = ReportOf(Without(Feature::kDirectDescriptors, EINVAL), GoodMachine());
  CHECK(fallback.can_run);
  CHECK(Has(fallback.text, "missing (fallback)   direct descriptors"));

  const Reported refusal = ReportOf(Without(Feature::kBufferRing, EINVAL), GoodMachine());
  CHECK(!refusal.can_run);
  CHECK(Has(refusal.text, "missing (required)   provided buffer ring"));
  CHECK(Has(refusal.text, "torc cannot run here: "));
}

TEST_CASE("the doctor has a cure for each shortage") {
  const auto cured = [](void (*damage)(Machine&), const char* cure) {
    Machine machine = GoodMachine();
    damage(machine);
    const Reported report = ReportOf(Everything(), machine);
    CHECK(report.can_run);
    CHECK(Has(report.text, "  low "));
    CHECK(Has(report.text, cure));
  };
  cured([](Machine& m) { m.open_files_max = 1024; }, "ulimit -n");
  cured([](Machine& m) { m.memlock_bytes_max = 64 << 10; }, "ulimit -l");
  cured([](Machine& m) { m.transparent_huge_pages = "never"; }, "transparent_hugepage/enabled");
  cured([](Machine& m) { m.cores = 1; }, "-t 1");
  cured([](Machine& m) { m.somaxconn = 128; }, "net.core.somaxconn=4096");
  cured([](Machine& m) { m.tcp_max_syn_backlog = 128; }, "net.ipv4.tcp_max_syn_backlog=4096");
  cured([](Machine& m) { m.governor = "powersave"; }, "cpupower");
}

TEST_CASE("what a container hides is not judged") {
  Machine machine;
  machine.open_files_max = 1 << 20;
  machine.memlock_bytes_max = 8 << 20;
  CHECK(!Has(ReportOf(Everything(), machine).text, "  low "));
}

TEST_CASE("the doctor runs here") {
  std::FILE* const nowhere = std::fopen("/dev/null", "w");
  CHECK(RunDoctor(nowhere) == 0);
  std::fclose(nowhere);
}

}  // namespace
}  // namespace torc::ring
