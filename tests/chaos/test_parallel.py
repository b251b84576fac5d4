"""A forget job in several processes: carried out whole, and none of them outlives its parent."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import teamed
from house import PATIENCE, wait
from scene import Scene

from models_store import crew
from models_store.crew import Badge
from models_store.life import JobStatus
from workers import gauge, parallel, tasks
from workers.methods.random_labels import RandomLabels
from workers.parallel import Spread


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Scene]:
    with teamed.opened(tmp_path_factory.mktemp("parallel"), sqlite_template) as opened:
        yield opened


ENDLESS = RandomLabels(batchnorm="frozen", epochs=100_000)


def test_a_run_that_is_stopped_leaves_no_process_behind(scene: Scene) -> None:
    bench, subject = teamed.bench_of(scene), teamed.subject_of(scene)
    spread = Spread(ENDLESS, "random_labels", bench, subject, teamed.COUNT)
    steps = spread.unlearn(teamed.trained(bench, subject), teamed.given(bench, subject))

    others = psutil.Process().children(recursive=True)
    next(steps)
    family = set(psutil.Process().children(recursive=True)) - set(others)
    steps.close()

    assert len(family) > teamed.COUNT  # torchrun, and those that work
    assert not any(map(_lives, family))


def test_the_processes_end_when_the_one_that_started_them_is_killed(
    scene: Scene, tmp_path: Path
) -> None:
    bench, subject = teamed.bench_of(scene), teamed.subject_of(scene)
    spread = Spread(ENDLESS, "random_labels", bench, subject, teamed.COUNT)
    spread._brief(tmp_path, teamed.trained(bench, subject), teamed.given(bench, subject))
    code = (
        "import subprocess, sys; child = subprocess.Popen(sys.argv[1:], text=True,"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True);"
        " print(child.stdout.readline(), flush=True); child.wait()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, *parallel.command(tmp_path, teamed.COUNT)],
        stdout=subprocess.PIPE,
        env=os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
    )
    assert parent.stdout is not None
    assert b'"done": 1' in parent.stdout.readline()
    family = psutil.Process(parent.pid).children(recursive=True)

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    assert len(family) > teamed.COUNT
    wait(lambda: not any(map(_lives, family)), PATIENCE, lambda: str(family))


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_forget_job_that_is_predicted_to_be_long_runs_in_several_processes(
    scene: Scene,
) -> None:
    bench = teamed.bench_of(scene)
    with scene.store.begin() as db:
        crew.sign_in(db, Badge(bench.name, ["fast"], "cpu", "host", 1, {}))
    gauge.begin(bench)
    request = scene.submit(0, seed=3)

    assert tasks.carry_out(bench, scene.job(request).id)

    job = scene.job(request)
    assert job.status is JobStatus.SUCCEEDED
    assert job.result is not None
    assert job.result["processes"] == teamed.COUNT
    assert scene.version(request).provenance["processes"] == teamed.COUNT
