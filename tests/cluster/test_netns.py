"""Two network namespaces stand for two hosts that share a file system: `pytest -m slow tests/cluster/test_netns.py`.

Needs root, for `ip netns`. The hosts are joined by a pair of virtual network devices; gloo talks over it.
"""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from tests.cluster.launch import (
    command,
    content,
    end_group,
    fit,
    group_is_gone,
    load,
    popen,
    wait_for,
    write_config,
)
from tests.cluster.test_kill import compare, updates_played, updates_saved

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for network namespaces")]

HOSTS = ("ganhost0", "ganhost1")
ADDRESSES = ("10.213.7.1", "10.213.7.2")


def ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=not check)


@pytest.fixture
def hosts():
    """Make both namespaces and the cable between them, and remove them again."""
    for host in HOSTS:
        ip("netns", "del", host, check=False)
    for host in HOSTS:
        ip("netns", "add", host)
        ip("-n", host, "link", "set", "lo", "up")
    ip("link", "add", "gancable0", "type", "veth", "peer", "name", "gancable1")
    for index, (host, address) in enumerate(zip(HOSTS, ADDRESSES, strict=True)):
        ip("link", "set", f"gancable{index}", "netns", host)
        ip("-n", host, "addr", "add", f"{address}/24", "dev", f"gancable{index}")
        ip("-n", host, "link", "set", f"gancable{index}", "up")
    yield
    for host in HOSTS:
        ip("netns", "del", host, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A config, and a run of it on two processes of one host."""
    folder = tmp_path_factory.mktemp("hosts")
    config = write_config(
        folder,
        trainer={
            "max_steps": 40,
            "strategy": {
                "class_path": "gan_lightning.execution.GANDDPStrategy",
                "init_args": {"timeout_minutes": 0.6},
            },
            "callbacks": [{"class_path": "tests.cluster.telling.Tell"}],
        },
        checkpoints={"every_n_updates": 5},
    )
    done = fit(config, "--name", "two", "--trainer.devices", "2")
    assert done.returncode == 0, done.stdout
    return folder


def start_on(host: int, launcher: str, folder, *options: str) -> subprocess.Popen[str]:
    python, *rest = command(folder / "config.yaml", "--trainer.num_nodes", "2", *options)
    variables = {"GLOO_SOCKET_IFNAME": f"gancable{host}"}
    if launcher == "torchrun":
        run = [
            python, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(host), "--nproc-per-node", "1",
            "--master-addr", ADDRESSES[0], "--master-port", "29533", *rest,
        ]  # fmt: skip
    else:
        run = [python, *rest]
        variables |= {"NODE_RANK": str(host), "MASTER_ADDR": ADDRESSES[0], "MASTER_PORT": "29534"}
    inside = ["ip", "netns", "exec", HOSTS[host], *run]
    return popen(inside, folder / f"{launcher}.{host}.log", folder, **variables)


@pytest.mark.parametrize("launcher", ["torchrun", "lightning"])
def test_two_hosts_do_what_one_host_does(launcher, hosts, folder):
    # torchrun's ranks share a store and may leave the folder to rank 0; by hand they need a name
    options = ("--name", launcher) if launcher == "torchrun" else ("--name", launcher, "--resume", "auto")
    processes = [start_on(host, launcher, folder, *options) for host in range(2)]
    try:
        for host, process in enumerate(processes):
            assert process.wait(600) == 0, (folder / f"{launcher}.{host}.log").read_text()[-3000:]
    finally:
        for process in processes:
            end_group(process)
    assert {path.name for path in (folder / "runs").iterdir()} >= {launcher}
    assert not (folder / "runs" / f"{launcher}-2").exists()
    compare(folder, launcher, "two")


def test_a_cut_cable_ends_both_hosts_and_the_run_goes_on_later(hosts, folder, fault):
    name, log = "cut", folder / "lightning.0.log"
    options = ("--name", name, "--resume", "auto")
    log.write_text("")
    processes = [start_on(host, "lightning", folder, *options) for host in range(2)]
    try:
        wait_for("played 7", log, processes[0], 600)
        ip("-n", HOSTS[1], "link", "set", "gancable1", "down")
        began = time.monotonic()
        for process in processes:
            assert group_is_gone(process, 60), log.read_text()[-3000:]
        assert time.monotonic() - began < 60
        codes = {process.wait() for process in processes}
    finally:
        for process in processes:
            end_group(process)
    assert codes == {1}
    lost = updates_played(log) - updates_saved(folder, name)
    assert 0 <= lost <= 5
    fault("network cut between two hosts", lost, 1)
    ip("-n", HOSTS[1], "link", "set", "gancable1", "up")
    processes = [start_on(host, "lightning", folder, *options) for host in range(2)]
    try:
        for process in processes:
            assert process.wait(600) == 0, log.read_text()[-3000:]
    finally:
        for process in processes:
            end_group(process)
    assert load(folder / "runs" / name / "checkpoints" / "last.ckpt")["clock"]["updates_done"] == 40
    assert content(folder / "runs" / name / "checkpoints" / "last.ckpt")["rank_buffers"]
    compare(folder, name, "two")
