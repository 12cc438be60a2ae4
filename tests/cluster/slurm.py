"""A real Slurm on this machine: one controller, two nodes, each with a GPU in name.

For throw-away machines only (root, Debian): it writes /etc/slurm. The executor
plugin of Snakemake drops SLURM_CONF from the environment, so no other folder will do.
`python -m tests.cluster.slurm install` fetches what it needs.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import wait_until

PACKAGES = ("slurm-wlm", "munge")
ETC = Path("/etc/slurm")
MARK = "# written by tests/cluster of radiounet-lotss\n"
PORTS = {"controller": 6817, "one": 6818, "two": 6819}
NODES = ("one", "two")
CORES, MEMORY_MB = 16, 64_000  # in name only: config_overrides

SLURM_CONF = """ClusterName=radiounet
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort={ports[controller]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
# the memory limit is kept by looking once a second
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MinJobAge=3600
ReturnToService=2
SlurmdTimeout=300
KillWait=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1
MailProg=/bin/true
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
"""
NODE = """NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} \\
  CPUs={cores} RealMemory={mb} Gres=gpu:1
"""
PARTITIONS = """PartitionName=cpu Nodes=one,two Default=YES MaxTime=24:00:00 State=UP
PartitionName=gpu Nodes=one,two MaxTime=24:00:00 State=UP
PartitionName=net Nodes=one,two MaxTime=04:00:00 State=UP
"""


def obstacle() -> str | None:
    """Why this machine cannot have its own Slurm; None where it can."""
    if os.geteuid() != 0:
        return "only root can start a Slurm"
    if not shutil.which("slurmctld") or not shutil.which("munged"):
        return "slurmctld and munged are not installed: make cluster"
    conf = ETC / "slurm.conf"
    if conf.exists() and not conf.read_text().startswith(MARK):
        return f"{conf} belongs to another Slurm"
    return None


def install() -> None:
    """Install the Debian packages."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
    subprocess.run(["apt-get", "install", "-qq", "-y", *PACKAGES], check=True, env=environment)


@dataclass(frozen=True)
class SlurmJob:
    """One submission, as the controller tells it."""

    number: int
    comment: str
    state: str
    memory_mb: int
    cores: int
    gpus: int
    minutes: int
    node: str
    partition: str
    seconds: float
    folder: str

    @property
    def rule(self) -> str:
        """Rule of the workflow, from the comment that the executor plugin leaves."""
        return re.sub(r"^rule_(segment\d{4}_)?|_wildcards_.*$", "", self.comment)


class Slurm:
    """The daemons whose files are in a folder; `stop` ends what `start` has started, by its ids."""

    def __init__(self, folder: Path):
        self.folder = folder

    def start(self) -> None:
        """Start the daemons, and wait until the nodes take jobs."""
        self._write_configuration()
        self._start_munge()
        self._run("slurmctld")
        for node in NODES:
            self.start_node(node)
        self.wait_for(lambda: "idle" in self.node_states() and len(self.node_states()) == 1)

    def _write_configuration(self) -> None:
        import socket

        host = socket.gethostname().split(".")[0]
        ETC.mkdir(exist_ok=True)
        (self.folder / "state").mkdir(parents=True, exist_ok=True)
        text = MARK + SLURM_CONF.format(host=host, ports=PORTS, folder=self.folder)
        for name in NODES:
            text += NODE.format(name=name, host=host, port=PORTS[name], cores=CORES, mb=MEMORY_MB)
        (ETC / "slurm.conf").write_text(text + PARTITIONS)
        (ETC / "gres.conf").write_text(f"{MARK}Name=gpu File=/dev/null\n")

    def _start_munge(self) -> None:
        if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
            return
        socket_folder = Path("/run/munge")
        socket_folder.mkdir(exist_ok=True)
        shutil.chown(socket_folder, "munge", "munge")
        self._run("runuser", "-u", "munge", "--", "munged", "--pid-file", "/run/munge/munged.pid")
        shutil.copy("/run/munge/munged.pid", self.folder / "munged.pid")

    def start_node(self, node: str) -> None:
        """Start, or start again, a node's daemon."""
        self._run("slurmd", "-N", node)

    def _pid(self, daemon: str) -> int | None:
        path = self.folder / f"{daemon}.pid"
        return int(path.read_text()) if path.is_file() else None

    def kill_node(self, node: str) -> None:
        """What a power cut does: its daemon and all that runs on it are gone at once."""
        for job in self.jobs():
            if job.node == node and job.state == "RUNNING":
                for pid in processes_with("SLURM_JOB_ID", str(job.number)):
                    kill(pid)
        if pid := self._pid(f"slurmd-{node}"):
            kill(pid)
        self._run("scontrol", "update", f"nodename={node}", "state=down", "reason=power")

    def mend_node(self, node: str) -> None:
        """Bring a node back, and wait until it takes jobs again.

        Its daemon may register before the operator says ``resume``, which is an error then.
        """
        self.start_node(node)

        def takes_jobs() -> bool:
            state = self._run("sinfo", "-h", "-n", node, "-o", "%T").split()[0]
            if state.startswith(("down", "drain")):
                resume = ["scontrol", "update", f"nodename={node}", "state=resume"]
                subprocess.run(resume, capture_output=True, check=False)
            return state in ("idle", "mixed", "allocated")

        self.wait_for(takes_jobs)

    def jobs(self, *rules: str) -> list[SlurmJob]:
        """All submissions since the start, oldest first, of some rules only if any are named."""
        found = []
        for line in self._run("scontrol", "--oneliner", "show", "job").splitlines():
            said = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if "JobId" not in said:  # "No jobs in the system"
                continue
            asked = dict(part.split("=") for part in said.get("TRES", "").split(",") if part)
            job = SlurmJob(
                number=int(said["JobId"]),
                comment=said.get("Comment", ""),
                state=said["JobState"],
                memory_mb=_megabytes(asked.get("mem", "0")),
                cores=int(asked.get("cpu", 0)),
                gpus=int(said.get("TresPerJob", "0").rpartition(":")[2]),
                minutes=_seconds(said["TimeLimit"]) // 60,
                node=said["NodeList"],
                partition=said["Partition"],
                seconds=_seconds(said["RunTime"]),
                folder=said["WorkDir"],
            )
            if not rules or job.rule in rules:
                found.append(job)
        return sorted(found, key=lambda job: job.number)

    def cancel(self, job: SlurmJob) -> None:
        """What an operator types."""
        self._run("scancel", str(job.number))

    def node_states(self) -> set[str]:
        """States of all nodes."""
        return set(self._run("sinfo", "-h", "-N", "-o", "%T").split())

    def wait_for(self, condition: Callable[[], object]) -> object:
        """Wait until a condition is true, and return what it says; `TimeoutError` lists all jobs."""
        return wait_until(condition, lambda: self._run("squeue", "-t", "all"))

    def clear(self, folder: Path) -> None:
        """Cancel whatever is left of the jobs that were submitted from a folder."""

        def left() -> list[SlurmJob]:
            busy = ("PENDING", "RUNNING", "COMPLETING")
            return [job for job in self.jobs() if job.folder == str(folder) and job.state in busy]

        for job in left():
            self.cancel(job)
        self.wait_for(lambda: not left())

    def stop(self) -> None:
        """Stop the daemons that were started here."""
        for daemon in ("slurmctld", *(f"slurmd-{node}" for node in NODES), "munged"):
            if pid := self._pid(daemon):
                kill(pid, signal.SIGTERM)
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink()

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout


def kill(pid: int, how: int = signal.SIGKILL) -> None:
    """Send a signal; a process that has gone in the meantime is none."""
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return


def processes_with(variable: str, value: str) -> list[int]:
    """Ids of all processes that have this in their environment."""
    wanted = f"{variable}={value}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except (OSError, ValueError):  # it has ended
            continue
    return found


def processes_running(*words: str) -> list[int]:
    """Ids of Python programs with all these words in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        is_python = len(command) > 1 and b"python" in command[0]
        if is_python and all(any(word.encode() in part for part in command) for word in words):
            found.append(int(path.parent.name))
    return found


def _megabytes(text: str) -> int:
    number, unit = re.fullmatch(r"([\d.]+)([KMGT]?)", text).groups()
    return round(float(number) * {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}[unit])


def _seconds(text: str) -> int:
    """Slurm's [days-]hours:minutes:seconds."""
    days, _, clock = text.rpartition("-")
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return 86400 * int(days or 0) + 3600 * hours + 60 * minutes + seconds


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit(__doc__)
    install()
