"""The command line: which options are taken, what they do, and how senseless ones are refused.

Exit statuses are memcached's, those of sysexits.h among them: 64 usage, 67 no such user, 71 the
system refused.
"""

import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

from harness import Context, Skip, case
from lib.client import Client
from lib.ports import free_port
from lib.server import Program, Server
from stats_cases import OTHER_SETTINGS, assert_settings, can_connect, wait_for

USAGE, NO_USER, OS_ERROR = 64, 67, 71


def command(name: str, **options):
    return case(f"command line: {name}", needs_server=False, **options)


# Options that end the program at once: exit status, and a pattern that stdout + stderr must hold.
# Words are each server's own, as long as they name the subject; torc's also name the option as it
# was given (unit tests hold them to the letter).
ENDING = [
    ("-V", 0, r"^\w+ \d+\.\d+"),
    ("--version", 0, r"^\w+ \d+\.\d+"),
    ("--bogus", 1, r"bogus"),
    ("-Q", 1, r"Q"),
    ("-t", 1, r"\bt\b.*argument|argument.*'t'"),
    ("--threads", 1, r"threads.*argument"),
    ("--daemon=yes", 1, r"daemon.*argument"),
    ("-t 0", 1, r"[Tt]hreads"),
    ("-t x", 1, r"[Tt]hreads"),
    ("-t -1", 1, r"[Tt]hreads"),
    ("-c 0", 1, r"[Cc]onnections"),
    ("-c x", 1, r"[Cc]onnections"),
    ("-c -1", 1, r"[Cc]onnections"),
    ("-R 0", 1, r"[Rr]equests per event"),
    ("-R x", 1, r"[Rr]equests per event"),
    ("-f 1", 1, r"[Ff]actor"),
    ("-f 0.5", 1, r"[Ff]actor"),
    ("-f x", 1, r"[Ff]actor"),
    ("-n 0", 1, r"[Cc]hunk"),
    ("-n x", 1, r"[Cc]hunk"),
    ("-m garbage", USAGE, r"."),
    ("-m 0", USAGE, r"."),
    ("-m 1", USAGE, r"[Ii]tem"),
    ("-I x", USAGE, r"1024"),
    ("-I 0", USAGE, r"1024"),
    ("-I 100", USAGE, r"1024"),
    ("-I 1023", USAGE, r"1024"),
    ("-I 40m", USAGE, r"[Ii]tem"),
    ("-I 1025m -m 4096", USAGE, r"[Ii]tem"),
    ("-I 2g", USAGE, r"[Ii]tem"),
    ("-p 65536", USAGE, r"65536"),
    ("-p 99999999", USAGE, r"99999999"),
    ("-l no.such.host.invalid", OS_ERROR, r"no\.such\.host\.invalid"),
    ("-l 192.0.2.1", OS_ERROR, r"192\.0\.2\.1"),
    ("-s /no/such/folder/socket", OS_ERROR, r"/no/such/folder/socket"),
    ("-u no-such-user-here", NO_USER, r"no-such-user-here"),
]


def register_ending(line: str, status: int, pattern: str) -> None:
    @command(f"{line}: exit status {status}")
    def ends(context: Context) -> None:
        if line.startswith("-u") and os.geteuid() != 0:
            raise Skip("only root is asked to become someone")
        words = line.split()
        # Should the server start nevertheless, it must not be on the default port.
        where = [] if {"-p", "-l", "-s"} & set(words) else ["-l", "127.0.0.1"]
        port = [] if {"-p", "-s"} & set(words) else ["-p", str(free_port())]
        ended = context.target.program.run(*where, *port, *words, timeout=context.target.timeout)
        said = (ended.stdout + ended.stderr).decode("utf-8", "replace")
        head = said[:2000]
        assert ended.returncode == status, f"exit status {ended.returncode}\n{head}"
        assert re.search(pattern, said), f"expected {pattern!r} in:\n{head}"
        assert status == 0 or ended.stderr, "the complaint belongs on stderr"
        if context.target.kind == "torc" and status in (1, USAGE):
            named = re.match(r"torc: (--?[\w-]+)", said)
            # A limit on one option that another sets may be told of either.
            assert named and (named[1] == words[0].split("=")[0] or line == "-m 1"), head


for _ending in ENDING:
    register_ending(*_ending)


# Short and long forms; those that both servers have.
HELP = """
    -p,--port -l,--listen -s,--unix-socket -a,--unix-mask -b,--listen-backlog -t,--threads
    -m,--memory-limit -M,--disable-evictions -c,--conn-limit -I,--max-item-size
    -R,--max-reqs-per-event -f,--slab-growth-factor -n,--slab-min-size -u,--user -d,--daemon
    -P,--pidfile -k,--lock-memory -r,--enable-coredumps -v,--verbose -h,--help -V,--version
""".split()


@command("-h and --help list every option, with its long form")
def help_text(context: Context) -> None:
    texts = []
    for word in ("-h", "--help"):
        ended = context.target.program.run(word, timeout=context.target.timeout)
        assert ended.returncode == 0 and not ended.stderr, ended
        texts.append(ended.stdout.decode())
    assert texts[0] == texts[1]
    for option in HELP:
        short, long = option.split(",")
        assert re.search(rf"(?m)^ *{short}, {long}\b", texts[0]), f"{option} is not in:\n{texts[0]}"
    assert "-vv" in texts[0]


@command("a port in use: exit status 71")
def port_in_use(context: Context) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        where = ("-l", "127.0.0.1", "-p", port)
        ended = context.target.program.run(*where, timeout=context.target.timeout)
    said = ended.stderr.decode("utf-8", "replace")
    assert ended.returncode == OS_ERROR, f"exit status {ended.returncode}\n{said}"
    assert "in use" in said, said


def start_listening(context: Context, *listen: str) -> Server:
    return Server(context.target.program, *context.target.options, listen=listen)


def connect_when_up(server: Server, address, timeout: float = 10) -> Client:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return Client(address, timeout)
        except OSError:
            assert server.process.poll() is None and time.monotonic() < deadline, server.report()
            time.sleep(0.01)


def assert_serves(server: Server, *addresses) -> None:
    for address in addresses:
        with connect_when_up(server, address) as client:
            assert client.ask(b"mn\r\n") == b"MN\r\n", address


def has_ipv6() -> bool:
    try:
        free_port("::1")
        return True
    except OSError:
        return False


@command("-l with a port of its own")
def listen_with_port(context: Context) -> None:
    port = free_port()
    with start_listening(context, "-l", f"127.0.0.1:{port}") as server:
        assert_serves(server, ("127.0.0.1", port))


@command("-l with several addresses, parted by a comma")
def listen_list(context: Context) -> None:
    one, two = free_port(), free_port()
    with start_listening(context, "-l", f"127.0.0.1:{one},127.0.0.1:{two}") as server:
        assert_serves(server, ("127.0.0.1", one), ("127.0.0.1", two))


@command("-l with several addresses that share the port of -p")
def listen_shared_port(context: Context) -> None:
    port = free_port("127.0.0.2")
    where = ("-l", "127.0.0.1,127.0.0.2", "-p", str(port))
    with start_listening(context, *where, "-l", "127.0.0.3") as server:
        assert_serves(server, *((f"127.0.0.{at}", port) for at in (1, 2, 3)))
        with Client(("127.0.0.3", port)) as client:
            assert client.stats("settings")["inter"] == "127.0.0.1,127.0.0.2,127.0.0.3"
            # What came in by one address is there for all.
            assert client.ask(b"set a 0 0 1\r\nx\r\n") == b"STORED\r\n"
        with Client(("127.0.0.1", port)) as client:
            assert client.ask(b"get a\r\n", b"END\r\n") == b"VALUE a 0 1\r\nx\r\nEND\r\n"


@command("-l with several addresses, one of them in use: exit status 71")
def listen_one_in_use(context: Context) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{free_port()},127.0.0.1:{taken.getsockname()[1]}"
        ended = context.target.program.run("-l", where, timeout=context.target.timeout)
    said = ended.stderr.decode("utf-8", "replace")
    assert ended.returncode == OS_ERROR and "in use" in said, f"{ended.returncode}\n{said}"


@command("-l given twice")
def listen_twice(context: Context) -> None:
    one, two = free_port(), free_port()
    with start_listening(context, "-l", f"127.0.0.1:{one}", "-l", f"127.0.0.1:{two}") as server:
        assert_serves(server, ("127.0.0.1", one), ("127.0.0.1", two))


@command("-l localhost and -p")
def listen_name(context: Context) -> None:
    if not (context.target.program.root / "etc/hosts").exists():
        raise Skip("its root has no /etc/hosts")
    port = free_port()
    with start_listening(context, "-l", "localhost", "-p", str(port)) as server:
        assert_serves(server, ("127.0.0.1", port))


@command("-l [::1]:port")
def listen_ipv6_port(context: Context) -> None:
    if not has_ipv6():
        raise Skip("no IPv6 loopback")
    port = free_port("::1")
    with start_listening(context, "-l", f"[::1]:{port}") as server:
        assert_serves(server, ("::1", port))


@command("-l ::1 beside 127.0.0.1")
def listen_both(context: Context) -> None:
    if not has_ipv6():
        raise Skip("no IPv6 loopback")
    port = free_port("::1")
    with start_listening(context, "-l", "127.0.0.1", "-l", "::1", "-p", str(port)) as server:
        assert_serves(server, ("127.0.0.1", port), ("::1", port))
        with Client(("::1", port)) as client:
            assert client.stats("settings")["inter"] == "127.0.0.1,::1"


@command("long options")
def long_options(context: Context) -> None:
    port = free_port()
    options = f"""
        --listen=127.0.0.1 --port={port} --threads=2 --memory-limit=100 --conn-limit=77 --verbose
        --max-item-size=2m --listen-backlog=99 --max-reqs-per-event=5 --slab-growth-factor=1.5
        --slab-min-size=64 --disable-evictions
    """
    with Server(context.target.program, listen=tuple(options.split())) as server:
        with connect_when_up(server, ("127.0.0.1", port)) as client:
            assert_settings(client, f"{OTHER_SETTINGS} num_threads=2")


@command("-r -k -M -v -vv are taken")
def accepted(context: Context) -> None:
    for flag in ("-r", "-k", "-M", "-v", "-vv"):
        with context.target.start(flag) as server:
            with server.connect() as client:
                assert client.ask(b"mn\r\n") == b"MN\r\n", flag
            if flag == "-r":
                limits = Path(f"/proc/{server.pid}/limits").read_text()
                hard = re.search(r"Max core file size +\S+ +(\S+)", limits)[1]
                assert re.search(rf"Max core file size +{hard} ", limits), limits
            # A sanitizer makes mlock() do nothing.
            if flag == "-k" and may_lock_memory() and not server.is_sanitized:
                status = Path(f"/proc/{server.pid}/status").read_text()
                locked = re.search(r"VmLck:\s+(\d+)", status)[1]
                assert int(locked) > 1000, f"{locked} kB locked"


def may_lock_memory() -> bool:
    capabilities = re.search(r"CapEff:\s+(\w+)", Path("/proc/self/status").read_text())[1]
    return bool(int(capabilities, 16) & 1 << 14)  # CAP_IPC_LOCK


@command("long options: -s -a -u -P -r -k")
def more_long_options(context: Context) -> None:
    with context.target.program.scratch() as scratch:
        path, file = scratch.outside / "socket", scratch.outside / "pid"
        scratch.outside.chmod(0o777)
        program = as_user(context.target.program, "--user=nobody")
        options = (f"--unix-socket={scratch.inside / 'socket'}", "--unix-mask=755",
                   f"--pidfile={scratch.inside / 'pid'}", "--enable-coredumps", "--lock-memory")
        with Server(program, *context.target.options, listen=options) as server:
            with connect_when_up(server, str(path)) as client:
                assert_settings(client, f"umask=755 domain_socket={scratch.inside / 'socket'}")
            wait_for(file.exists, "the pid file is there")
            assert file.read_text() == f"{server.pid}\n"
            if os.geteuid() == 0:
                nobody = pwd.getpwnam("nobody").pw_uid
                assert uids(server.pid) == [nobody] * 4
                assert path.stat().st_uid == file.stat().st_uid == nobody


@command("SIGTERM and SIGINT: exit status 0")
def signals(context: Context) -> None:
    for by in (signal.SIGTERM, signal.SIGINT):
        server = context.target.start()
        with server.connect() as client:
            client.ask(b"set a 0 0 1\r\nx\r\n")
            status = server.stop(by)
            assert status == 0, f"{by.name}: exit status {status}\n{server.report()}"
            assert client.read_to_close() == b""


@command("the port is free again right after the end")
def port_reuse(context: Context) -> None:
    port = free_port()
    for _ in range(3):
        with start_listening(context, "-l", "127.0.0.1", "-p", str(port)) as server:
            client = connect_when_up(server, ("127.0.0.1", port))
            assert client.ask(b"mn\r\n") == b"MN\r\n"


@command("-s: a unix socket, with the mode of -a, and no port")
def unix_socket(context: Context) -> None:
    with context.target.program.scratch() as scratch:
        path = scratch.outside / "socket"
        for mode in (None, "700", "777", "660"):
            listen = ["-s", str(scratch.inside / "socket"), *(["-a", mode] if mode else [])]
            # The second start finds the socket of the first; that must not stop it.
            with start_listening(context, *listen) as server:
                with connect_when_up(server, str(path)) as client:
                    assert client.ask(b"set a 0 0 1\r\nx\r\n") == b"STORED\r\n"
                    assert client.ask(b"get a\r\n", b"END\r\n") == b"VALUE a 0 1\r\nx\r\nEND\r\n"
                    settings = client.stats("settings")
                found = path.stat().st_mode
                assert stat.S_ISSOCK(found)
                assert stat.S_IMODE(found) == int(mode or "700", 8), oct(found)
                assert settings["domain_socket"] == str(scratch.inside / "socket")
                assert settings["umask"] == (mode or "700")
                assert not listening_inet(server.pid), "it listens on a port as well"


def listening_inet(pid: int) -> bool:
    """Whether the process listens on a TCP port."""
    sockets = (re.fullmatch(r"socket:\[(\d+)\]", link) for link in open_files(pid))
    inodes = {match[1] for match in sockets if match}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            if line.split()[3] == "0A" and line.split()[9] in inodes:
                return True
    return False


def open_files(pid: int) -> list[str]:
    links = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(os.readlink(fd))
        except FileNotFoundError:
            pass  # closed since the folder was read
    return links


@command("-P: the process id in a file")
def pid_file(context: Context) -> None:
    with context.target.program.scratch() as scratch:
        path = scratch.outside / "pid"
        with context.target.start("-P", str(scratch.inside / "pid")) as server:
            wait_for(path.exists, "the file is there")
            assert path.read_text() == f"{server.pid}\n"


@command("-d: a daemon, with -P")
def daemon(context: Context) -> None:
    with context.target.program.scratch() as scratch:
        path, port = scratch.outside / "pid", free_port()
        options = ("-d", "-P", str(scratch.inside / "pid"))
        pid = start_daemon(context.target.program, path, "-l", "127.0.0.1", "-p", str(port),
                           *options)
        wait_for(lambda: can_connect(("127.0.0.1", port)), "the daemon accepts", 10)
        try:
            assert Client(("127.0.0.1", port)).stats()["pid"] == str(pid)
            status = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            assert status[3] == str(pid), "it leads a session of its own"
            for fd in range(3):
                assert os.readlink(f"/proc/{pid}/fd/{fd}").endswith("/dev/null"), fd
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not is_running(pid), "the daemon ends", 10)
        assert not path.exists(), "the daemon leaves its pid file behind"


@command("--daemon with --unix-socket, --pidfile and --user; SIGINT ends it")
def daemon_on_socket(context: Context) -> None:
    with context.target.program.scratch() as scratch:
        scratch.outside.chmod(0o777)
        path, file = scratch.outside / "socket", scratch.outside / "pid"
        program = as_user(context.target.program, "--user=nobody")
        options = ("--daemon", f"--pidfile={scratch.inside / 'pid'}",
                   f"--unix-socket={scratch.inside / 'socket'}", "-a", "777")
        pid = start_daemon(program, file, *context.target.options, *options)
        try:
            wait_for(lambda: can_connect(str(path)), "the daemon accepts", 10)
            with Client(str(path)) as client:
                assert client.ask(b"set a 0 0 1\r\nx\r\n") == b"STORED\r\n"
                assert client.stats()["pid"] == str(pid)
            assert stat.S_IMODE(path.stat().st_mode) == 0o777
            assert not listening_inet(pid), "it listens on a port as well"
        finally:
            os.kill(pid, signal.SIGINT)
        wait_for(lambda: not is_running(pid), "the daemon ends", 10)
        assert not file.exists(), "the daemon leaves its pid file behind"


def as_user(program: Program, *option: str) -> Program:
    """The same program with another -u, or with none; unchanged where -u means nothing."""
    changed = Program(str(program))
    if os.geteuid() == 0:
        at = changed.prefix.index("-u")
        changed.prefix[at : at + 2] = option
    return changed


@command("-u: root becomes another user")
def user(context: Context) -> None:
    if os.geteuid() != 0:
        raise Skip("only root can")
    program = as_user(context.target.program, "-u", "nobody")
    nobody = pwd.getpwnam("nobody")
    with Server(program, *context.target.options) as server:
        wait_for(lambda: uids(server.pid) == [nobody.pw_uid] * 4, "it has become nobody")
        with server.connect() as client:
            assert client.ask(b"mn\r\n") == b"MN\r\n"


@command("root without -u: exit status 64", old="1.6.18 says so in other words")
def root_without_user(context: Context) -> None:
    if os.geteuid() != 0:
        raise Skip("not root")
    program = as_user(context.target.program)
    ended = program.run("-l", "127.0.0.1", "-p", str(free_port()), timeout=context.target.timeout)
    assert ended.returncode == USAGE, ended.returncode
    assert b"root" in ended.stderr and b"-u" in ended.stderr, ended.stderr


def uids(pid: int) -> list[int]:
    line = re.search(r"^Uid:(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]
    return [int(uid) for uid in line.split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def start_daemon(program: Program, path: Path, *words: str) -> int:
    """Starts a daemon; the command must return by itself, with 0. Returns what is in its pid file,
    which will be at `path`."""
    said = path.with_name("said")
    # Not pipes: a daemon that keeps them open would hold up whoever waits for their end.
    with said.open("wb") as output:
        starter = subprocess.Popen([*program.prefix, *words], stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output)
        try:
            status = starter.wait(10)
        except subprocess.TimeoutExpired:
            starter.kill()
            raise AssertionError("the command does not return")
    assert status == 0, said.read_text()
    wait_for(lambda: path.exists() and path.read_text().strip(), "the pid file is there")
    return int(path.read_text())
