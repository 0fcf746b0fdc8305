"""Meshes and meetings of processes that are asked for wrongly, and clusters that are known."""

from pathlib import Path

import jax
import pytest
from runs import TINY, call

from ganjax.runs import hosts


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--mesh=data=999"], "--mesh data=999 is of 999 devices, and there are "),
        (["--mesh=data=31,lanes=3"], "--mesh data=31,lanes=3 is of 93 devices, and there are "),
        (["--mesh=rows=2"], "a mesh is data=N, lanes=N or data=N,lanes=N, from 1; got 'rows=2'"),
        (["--mesh=data=2,data=2"], "a mesh is data=N, lanes=N or data=N,lanes=N, from 1; got"),
        (["--mesh=lanes=0"], "a mesh is data=N, lanes=N or data=N,lanes=N, from 1; got 'lanes=0'"),
        (["--mesh="], "a mesh is data=N, lanes=N or data=N,lanes=N, from 1; got ''"),
        (["--mesh=data=1", "--devices=1"], "--devices N is short for --mesh data=N: say one"),
        (["--process-id=0"], "--coordinator, --process-id and --num-processes belong together"),
        (
            ["--coordinator=here", "--process-id=0", "--num-processes=2"],
            "--coordinator is HOST:PORT, of process 0; got here",
        ),
        (
            ["--coordinator=a:1", "--process-id=2", "--num-processes=2"],
            "--process-id is below --num-processes, 2; got 2",
        ),
    ],
)
def test_a_wrong_mesh_or_coordinator_is_one_line(
    argv: list[str], told: str, tmp_path: Path
) -> None:
    run = ["run", TINY, "--quiet", "--no-cache", "--out", tmp_path / "run"]
    status, out, err = call(*run, *argv)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"ganjax: {told}")
    assert not (tmp_path / "run").exists()


def test_a_process_of_a_cluster_is_known_by_its_environment() -> None:
    slurm = {"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "a[1-2]", "SLURM_PROCID": "1"}
    slurm |= {"SLURM_LOCALID": "0", "SLURM_NTASKS": "2"}
    assert hosts.cluster_of(slurm) == "the coordinator that SLURM names"
    assert hosts.cluster_of(slurm | {"SLURM_NTASKS": "1"}) is None  # a task of its own
    del slurm["SLURM_STEP_NODELIST"]  # in the batch script itself, not in a task of srun
    assert hosts.cluster_of(slurm) is None
    mpi = {"OMPI_MCA_orte_hnp_uri": "1;tcp://10.0.0.1:1", "OMPI_COMM_WORLD_RANK": "0"}
    mpi |= {"OMPI_COMM_WORLD_SIZE": "4"}
    assert hosts.cluster_of(mpi) == "the coordinator that Open MPI names"
    assert hosts.cluster_of({"TPU_WORKER_HOSTNAMES": "a,b"}) == "the coordinator of the TPU pod"
    assert hosts.cluster_of({"TPU_WORKER_HOSTNAMES": "localhost"}) is None
    assert hosts.cluster_of({}) is None


def test_more_devices_than_there_are_is_one_line(tmp_path: Path) -> None:
    status, out, err = call(
        "run", TINY, "--quiet", "--no-cache", "--devices", 1000, "--out", tmp_path / "run"
    )
    assert (status, out) == (2, "")
    there = f"{jax.device_count()} ({jax.devices()[0].device_kind})"
    assert err == f"ganjax: 1000 devices are asked for, and there are {there}\n"
    assert not (tmp_path / "run").exists()
