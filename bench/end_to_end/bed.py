# SPDX-License-Identifier: BSD-3-Clause
"""What an end-to-end measurement runs on: namespaces, godwitd, testpmd, the generator."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

UNICAST = {4: "198.51.100.7", 6: "2001:db8:7::7"}
GATEWAY = {4: "198.51.100.1", 6: "2001:db8:7::1"}
SERVICE = {4: "192.0.2.53", 6: "2001:db8:53::53"}
# testpmd's burst that is fastest with memif's driver.
YARDSTICK_BURST = 256
# dataplane.max_flows: its least.
LEAST_FLOWS = 1024


class Missing(Exception):
    """Something that a measurement can't go on without, in one line."""


class Wrong(Exception):
    """A result that is not right: no figure is worth anything then."""


def sh(*argv, check=True):
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise Missing(f"{' '.join(map(str, argv))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def wait_for(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Missing(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def cpus():
    """One for the worker, one for the generator: the last two that we may use."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Missing("end to end needs two CPUs: one for the worker, one for the generator")
    return usable[-1], usable[-2]


class Child:
    """A program that is stopped when the bed is taken down, and can be made to stand still."""

    def __init__(self, argv, log, **more):
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as stream:
            self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE,
                                            stderr=stream, **({"stdout": stream} | more))

    def check(self):
        if self.process.poll() is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
            raise Missing(f"{self.log.stem} ended with {self.process.returncode}:\n{tail}")

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process.poll() is None:
            self.go_on()
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Generator(Child):
    def __init__(self, argv, log):
        super().__init__(argv, log, stdout=subprocess.PIPE, bufsize=0)

    def tell(self, verb, **words):
        line = " ".join([verb, *(f"{key}={value}" for key, value in words.items())]) + "\n"
        self.process.stdin.write(line.encode())
        answer = self.process.stdout.readline()
        if not answer:
            self.process.wait(5)
            self.check()
        return json.loads(answer)


class Bed:
    """Device 0 of the generator is godwitd, device 1 testpmd; they take turns on one CPU."""

    def __init__(self, link, programs, generator, max_flows):
        self.link, self.programs, self.generator_path, self.max_flows = link, pathlib.Path(programs), generator, max_flows
        self.worker_cpu, self.generator_cpu = cpus()
        self.both_cpus = ["taskset", "-c", f"{self.generator_cpu},{self.worker_cpu}"]
        self.stack = contextlib.ExitStack()
        # We and godwitctl stay away from the worker.
        self.stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, {self.generator_cpu})

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def build(self):
        self.directory = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="godwit-e2e.")))
        name = f"gwe2e{os.getpid()}"
        self.node, self.far = self.netns(name + "-node"), self.netns(name + "-far")
        if self.link != "memif":
            for end in ("u0", "q0", "u1", "q1"):
                self.veth(end)
        self.cold_start = self.start_cold() if self.link == "memif" else None
        self.godwitd = self.start_godwitd(self.max_flows)
        self.stack.callback(self.godwitd.close)
        self.testpmd = self.start_testpmd()
        self.stack.callback(self.testpmd.close)
        self.generator = self.start_generator()
        self.stack.callback(self.generator.close)
        wait_for("links", self.links_up)
        self.settle_neighbours()
        self.turn_of(0)

    def netns(self, name):
        sh("ip", "netns", "add", name)
        self.stack.callback(sh, "ip", "netns", "del", name, check=False)
        sh("ip", "-n", name, "link", "set", "lo", "up")
        # No router solicitations: they have the size of a short IPv6 frame.
        sh(*self.inside(name, "sysctl", "-qw", "net.ipv6.conf.default.router_solicitations=0"))
        return name

    def inside(self, name, *argv):
        return ["nsenter", f"--net=/run/netns/{name}", "setpriv", "--pdeathsig", "KILL", *argv]

    def veth(self, end):
        sh("ip", "-n", self.node, "link", "add", end, "type", "veth", "peer", "name", end, "netns", self.far)
        sh(*self.inside(self.far, "sysctl", "-qw", f"net.ipv6.conf.{end}.disable_ipv6=1"))
        if end != "u0":
            sh(*self.inside(self.node, "sysctl", "-qw", f"net.ipv6.conf.{end}.disable_ipv6=1"))
        for name in (self.node, self.far):
            sh("ip", "-n", name, "link", "set", end, "up")

    def device(self, end):
        if self.link == "memif":
            return f"memif:{self.directory}/{end}.sock"
        return f"{self.link}:{end}"

    def standing(self):
        """What a flood may not take or make more of."""
        status = pathlib.Path(f"/proc/{self.godwitd.process.pid}/status").read_text(encoding="ascii")
        shown = json.loads(self.ctl_text("egress", "show"))["addresses"]
        return {"mappings": sum(address["mappings"] for address in shown),
                "MiB": int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) / 1024,
                "lines": len(self.godwitd.log.read_text(errors="replace").splitlines())}

    def start_cold(self):
        """How long a start takes, and what the daemon needs besides its tables: here they are of the least size."""
        begin = time.monotonic()
        child = self.start_godwitd(LEAST_FLOWS)
        took = time.monotonic() - begin
        status = pathlib.Path(f"/proc/{child.process.pid}/status").read_text(encoding="ascii")
        mib = {key: int(value) / 1024 for key, value in re.findall(r"(VmRSS|HugetlbPages):\s+(\d+) kB", status)}
        child.close()
        return {"start_s": took, "memory_MiB": mib["VmRSS"] + mib["HugetlbPages"], "rss_MiB": mib["VmRSS"]}

    def start_godwitd(self, max_flows):
        service = {"name": "dns", "addresses": list(SERVICE.values()), "ports": ["udp/53", "tcp/53"], "queues": ["q0"]}
        config = {
            "version": 1, "node": {"name": "bench", "unicast": list(UNICAST.values())},
            "dataplane": {"cpus": [self.worker_cpu], "workers": 1, "idle": "poll", "max_flows": max_flows},
            "uplinks": [{"name": "wan0", "device": self.device("u0"),
                         "addresses": [UNICAST[4] + "/24", UNICAST[6] + "/64"], "gateway": list(GATEWAY.values())}],
            "queues": [{"name": "q0", "device": self.device("q0")}], "services": [service],
            "metrics": {"listen": "127.0.0.1:9467"}}
        file = self.directory / "godwit.yaml"
        file.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        self.socket = self.directory / "control.sock"
        child = Child(self.inside(self.node, *self.both_cpus, self.programs / "godwitd", "--config", file, "--socket", self.socket),
                      self.directory / "godwitd.log")

        def ready():
            child.check()
            return '"ready": true' in self.ctl_text("status", check=False)
        wait_for("godwitd", ready)
        return child

    def start_testpmd(self):
        vdevs = []
        for number, end in enumerate(("u1", "q1")):
            vdevs.append({
                "memif": f"--vdev=net_memif{number},role=server,id=0,socket={self.directory}/{end}.sock,"
                         "socket-abstract=no,bsize=2048,rsize=10",
                "afpacket": f"--vdev=net_af_packet{number},iface={end},qdisc_bypass=1,blocksz=65536,framesz=2048,"
                            "framecnt=1024",
                "xdp": f"--vdev=net_af_xdp{number},iface={end},busy_budget=0"}[self.link])
        child = Child(self.inside(
            self.node, *self.both_cpus, "stdbuf", "-oL", "dpdk-testpmd", f"--lcores=0@{self.generator_cpu},1@{self.worker_cpu}", *self.eal("testpmd"),
            "-m", "256", *vdevs, "--", "--forward-mode=macswap", "--auto-start", "--nb-cores=1",
            f"--burst={YARDSTICK_BURST}", "--rxd=1024", "--txd=1024", "--total-num-mbufs=32768", "--no-mlockall",
            "--disable-link-check"), self.directory / "testpmd.log")

        def ready():
            child.check()
            return "Press enter to exit" in child.log.read_text(errors="replace")
        wait_for("testpmd", ready)
        return child

    def start_generator(self):
        vdevs = []
        for number, end in enumerate(("u0", "q0", "u1", "q1")):
            vdevs.append(
                f"--vdev=net_memif{number},role=client,id=0,socket={self.directory}/{end}.sock,socket-abstract=no,"
                f"bsize=2048,rsize=10,mac=02:00:00:00:01:{number:02x}" + (",zero-copy=yes" if self.huge else "")
                if self.link == "memif" else
                f"--vdev=net_af_packet{number},iface={end},qdisc_bypass=1,blocksz=65536,framesz=2048,framecnt=1024")
        return Generator(
            self.inside(self.far, self.generator_path, f"--lcores=0@{self.generator_cpu}", *self.eal("generator"),
                          "--single-file-segments", "-m", "256", *vdevs), self.directory / "generator.log")

    @property
    def huge(self):
        with open("/proc/meminfo", encoding="ascii") as lines:
            free = next(int(line.split()[1]) for line in lines if line.startswith("HugePages_Free"))
        return free >= 300

    def eal(self, name):
        prefix = f"gwe2e{os.getpid()}{name}"
        self.stack.callback(shutil.rmtree, f"/var/run/dpdk/{prefix}", ignore_errors=True)  # EAL leaves it behind
        memory = ["--in-memory"] if self.huge else ["--no-huge", "--no-shconf"]
        return [*memory, "--no-pci", "--iova-mode=va", "--no-telemetry", "--log-level=warning",
                f"--file-prefix={prefix}"]

    def links_up(self):
        for child in (self.godwitd, self.testpmd, self.generator):
            child.check()
        return all(self.generator.tell("up", device=device)["up"] for device in (0, 1))

    def settle_neighbours(self):
        """The gateway's address is told to the kernel: a question while we measure would be a frame too many."""
        mac = "02:00:00:00:01:00"
        kernel = "gw0"
        if self.link != "memif":
            mac = json.loads(sh("ip", "-n", self.far, "-j", "link", "show", "u0"))[0]["address"]
        if self.link == "xdp":
            kernel = "u0"
        for gateway in GATEWAY.values():
            sh("ip", "-n", self.node, "neigh", "replace", gateway, "lladdr", mac, "dev", kernel, "nud", "permanent")
        if not self.generator.tell("meet", device=0, gateway=GATEWAY[4], unicast=UNICAST[4], service=SERVICE[4])["met"]:
            raise Missing("godwitd answers no ARP")

    def turn_of(self, device):
        """The other one stands still: one CPU is for both."""
        running, still = (self.godwitd, self.testpmd)[::1 if device == 0 else -1]
        still.pause()
        running.go_on()

    def ctl_text(self, *words, check=True):
        return sh(self.programs / "godwitctl", "--socket", self.socket, "--json", *words, check=check)

    def counters(self):
        """Rule 7 of the contract holds at any moment."""
        counts = json.loads(self.ctl_text("counters"))
        ends = sum(counts[key] for key in ("delivered", "sent", "punted", "consumed", "held"))
        dropped = sum(counts["dropped"].values())
        if counts["received"] + counts["generated"] != ends + dropped:
            raise Wrong(f"counters don't add up: {counts['received']} received and {counts['generated']} generated, "
                        f"but {ends} ended and {dropped} dropped")
        return counts["received"], dropped
