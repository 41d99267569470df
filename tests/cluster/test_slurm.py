"""The real `scripts/train.sbatch` under a real Slurm on this machine: `pytest -m slow tests/cluster/test_slurm.py`.

Needs root and Debian's packages slurm-wlm and munge, which it installs and removes again (srun on the PATH makes
Lightning warn in every run). Two slurmd of this machine stand for two nodes. The run is sent the time-limit signal on
its way, is queued again, and must end with the weights of a run that nothing happened to.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.launch import ROOT, content, environment, fit, load, wait_for, write_config
from tests.cluster.test_kill import updates_played
from tests.training import assert_same

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("apt-get"), reason="needs root and apt-get, to install Slurm"
    ),
]

PACKAGES = ("slurm-wlm", "munge")
UPDATES = 40

CONFIGURATION = """
ClusterName=toy
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
SlurmctldPort=6817
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
ReturnToService=2
JobRequeue=1
KillWait=20
MinJobAge=600
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=17001 CPUs=2 RealMemory=4000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=17002 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def run(*arguments: str, **options) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Install and start Slurm with two nodes; stop and remove it afterwards, if it was not there before."""
    folder = tmp_path_factory.mktemp("slurm")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    missing = [
        package for package in PACKAGES if subprocess.run(["dpkg", "-s", package], capture_output=True).returncode
    ]
    # Debian starts services of packages it installs; ours run on our own configuration
    policy = Path("/usr/sbin/policy-rc.d")
    own_policy = not policy.exists()
    if own_policy:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    started: list[int] = []
    try:
        if missing:
            run("apt-get", "update", env=quiet)
            run("apt-get", "install", "-y", "--no-install-recommends", *missing, env=quiet)
        for name in ("state", "log", "spool.n1", "spool.n2"):
            (folder / name).mkdir()
        host = run("hostname", "-s").strip()
        conf = folder / "slurm.conf"
        conf.write_text(CONFIGURATION.format(host=host, folder=folder))
        os.environ["SLURM_CONF"] = str(conf)
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge", "munge")
        run("runuser", "-u", "munge", "--", "/usr/sbin/munged", "--force")
        started.append(int(Path("/run/munge/munged.pid").read_text()))
        run("slurmctld", "-f", str(conf))
        for node in ("n1", "n2"):
            run("slurmd", "-N", node, "-f", str(conf))
        until(lambda: run("sinfo", "-h", "-o", "%t %D").strip() == "idle 2", 60, "two idle nodes")
        yield folder
    finally:
        subprocess.run(["scancel", "--user", "root"], capture_output=True)
        time.sleep(1)
        for pid_file in (*folder.glob("slurmd.*.pid"), *folder.glob("slurmctld.pid")):
            started.append(int(pid_file.read_text()))
        for pid in reversed(started):
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        time.sleep(2)
        os.environ.pop("SLURM_CONF", None)
        if missing:
            subprocess.run(["apt-get", "purge", "-y", "--autoremove", *missing], env=quiet, capture_output=True)
        if own_policy:
            policy.unlink()


def until(condition, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.2)
    raise AssertionError(f"{what} not within {seconds} s")


def job_field(job: str, field: str) -> str:
    found = re.search(rf"\b{field}=(\S+)", run("scontrol", "show", "job", job))
    return found.group(1) if found else ""


def submit(folder: Path, *options: str, nodes: int, tasks: int, name: str) -> tuple[str, Path]:
    """Submit the script that ships and return the job and its output file."""
    log = folder / f"{name}.out"
    variables = environment(
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", MASTER_ADDR="127.0.0.1", NAME=name,
        SLURM_CONF=os.environ["SLURM_CONF"],
    )  # fmt: skip
    job = run(
        "sbatch", "--parsable", f"--nodes={nodes}", f"--ntasks-per-node={tasks}", f"--output={log}", "--export=ALL",
        str(ROOT / "scripts" / "train.sbatch"), "--config", str(folder / "config.yaml"), *options,
        env=variables, cwd=folder,
    ).strip()  # fmt: skip
    return job, log


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A config, and a run of it on two processes without Slurm."""
    folder = tmp_path_factory.mktemp("jobs")
    strategy = {"class_path": "gan_lightning.execution.GANDDPStrategy"}
    tell = [{"class_path": "tests.cluster.telling.Tell", "init_args": {"pause": 0.2}}]
    config = write_config(folder, trainer={"max_steps": UPDATES, "strategy": strategy, "callbacks": tell})
    done = fit(config, "--name", "straight", "--trainer.devices", "2")
    assert done.returncode == 0, done.stdout
    return folder


class _Alive:
    """What `wait_for` asks of a process, answered by Slurm."""

    def __init__(self, job: str) -> None:
        self.job = job

    def poll(self) -> int | None:
        return None if job_field(self.job, "JobState") in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING") else 1


@pytest.mark.parametrize(("nodes", "tasks"), [(2, 1), (1, 2)], ids=["two nodes", "one node"])
def test_signalled_requeued_and_finished_as_if_nothing_had_been(nodes, tasks, slurm, folder, fault):
    name = f"on-{nodes}"
    job, log = submit(folder, nodes=nodes, tasks=tasks, name=name)
    for restart, at in enumerate((3, 15)):
        until(lambda: job_field(job, "JobState") == "RUNNING", 600, "the start of the job")
        wait_for(rf"played {at}\b", log, _Alive(job), 600)  # type: ignore[arg-type]
        run("scancel", "--signal=USR1", job)
        until(lambda restart=restart: job_field(job, "Restarts") == str(restart + 1), 600, "the requeue")
        saved = load(folder / "runs" / name / "checkpoints" / "last.ckpt")["clock"]["updates_done"]
        fault(f"Slurm: USR1, requeued, {nodes} node{'s' * (nodes > 1)}", updates_played(log) - saved, 75)
        # Slurm itself lets a requeued job wait two minutes; within the same second it would be "credential revoked"
        time.sleep(3)
        run("scontrol", "update", f"JobId={job}", "StartTime=now")
    until(lambda: job_field(job, "JobState") not in ("PENDING", "RUNNING", "COMPLETING"), 900, "the end of the job")
    assert job_field(job, "JobState") == "COMPLETED", log.read_text()
    assert job_field(job, "ExitCode") == "0:0", log.read_text()
    assert log.read_text().count("queueing job") == 2
    one, other = (content(folder / "runs" / which / "checkpoints" / "last.ckpt") for which in ("straight", name))
    assert_same(one, other)
    assert not list((folder / "runs").glob(f"{name}-*"))
    assert not list(Path(folder).glob("hpc_ckpt*"))


def test_the_time_limit_itself_sends_the_signal(slurm, folder, fault):
    """A limit of a minute with the signal at most a minute before its end: Slurm sends it by itself."""
    name = "limited"
    job, log = submit(folder, "--trainer.max_steps", "1000000", nodes=2, tasks=1, name=name)
    run("scontrol", "update", f"JobId={job}", "TimeLimit=00:03:00")  # the script asks for USR1 at 120 s before the end
    until(lambda: job_field(job, "Restarts") == "1", 900, "the requeue")
    saved = load(folder / "runs" / name / "checkpoints" / "last.ckpt")["clock"]["updates_done"]
    assert "stopped by SIGUSR1" in log.read_text() or "stopped by a signal on another rank" in log.read_text()
    fault("Slurm: time limit, requeued, 2 nodes", updates_played(log) - saved, 75)
    run("scancel", job)


def test_an_array_runs_each_seed_in_its_own_folder(slurm, folder):
    environment_ = environment(
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", MASTER_ADDR="127.0.0.1", NAME="sweep",
        SLURM_CONF=os.environ["SLURM_CONF"],
    )  # fmt: skip
    run(
        "sbatch", "--wait", "--array=1-2", f"--output={folder}/sweep-%a.out", "--export=ALL",
        str(ROOT / "scripts" / "train.sbatch"), "--config", str(folder / "config.yaml"), "--trainer.max_steps", "2",
        env=environment_, cwd=folder, timeout=1500,
    )  # fmt: skip
    seeds = [load(folder / "runs" / f"sweep-{i}" / "checkpoints" / "last.ckpt")["clock"]["seed"] for i in (1, 2)]
    assert seeds == [1, 2]
