"""A service from nothing, of which nothing stays: one folder, real processes, spoken to over HTTP."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Net
from lethe import up
from lethe.client import Client

DATASET = "benchmark"


@dataclass(frozen=True)
class House:
    """A running service; every verb waits until its job has ended."""

    client: Client
    home: Path

    def bring_in(self, folder: Path, class_names: list[str]) -> None:
        """Import a data set by its path."""
        source = {"path": str(folder.resolve()), "class_names": class_names}
        accepted = self.client.post("/datasets", {"name": DATASET, **source})
        self._ended(f"/jobs/{accepted['job']}")

    def register(
        self,
        model: str,
        net: Net,
        file: Path,
        trained_on: dict[str, Any],
        recipe: dict[str, Any],
    ) -> None:
        """A new model with these weights, checked and audited as its baseline."""
        self.client.post("/models", {"name": model, "dataset": DATASET, **vars(net)})
        meta = {"trained_on": trained_on, "recipe": recipe}
        accepted = self.client.upload(f"/models/{model}/versions", file, meta)
        self._ended(f"/jobs/{accepted['job']}")

    def forget(
        self, model: str, target: dict[str, Any], method: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        """Run one method by its name; a version that fails its audit is a result too."""
        body = {"model": model, "target": target, "method": method, "params": params}
        request = self.client.forget(body)
        self._ended(f"/forget-requests/{request['id']}", "audit_failed")
        audit = self.client.get(f"/models/{model}/audit", version="latest")
        return {
            "seconds": round(audit["cost"]["rte_seconds"], 2),
            "verdict": audit["verdict"],
            "failed": [test["test"] for test in audit["tests"] if test["verdict"] == "fail"],
            "method": method,
            "params": self._defaults(method) | params,
            "seed": audit["models"]["after"]["seed"],
        }

    def weights(self, model: str) -> Path:
        """The newest version, by HTTP; one that failed its audit from the service's own folder."""
        version = self.client.get(f"/models/{model}/versions/latest")
        if version["state"] == "quarantined":
            digest = str(version["digest"])
            return self.home / "blobs" / digest[:2] / digest
        file = self.home / f"{model}.safetensors"
        self.client.download(f"/models/{model}/versions/{version['number']}/weights", file)
        return file

    def _defaults(self, method: str) -> dict[str, Any]:
        offered = {offer["name"]: offer for offer in self.client.items("/methods")}
        fields = offered[method]["schema"]["properties"]
        return {name: field["default"] for name, field in fields.items()}

    def _ended(self, path: str, *accepted: str) -> None:
        *_, last = self.client.follow(path)
        failure = last["failure"] or {}
        if last["status"] != "succeeded" and failure.get("code") not in accepted:
            raise SystemExit(f"{path} ended as {last['status']}: {failure}")


@contextmanager
def opened(data: Path) -> Iterator[House]:
    """An embedded service in a folder of its own, allowed to import from `data`."""
    for name in [name for name in os.environ if name.startswith("LETHE_")]:
        del os.environ[name]
    os.environ |= {"LETHE_IMPORT_ROOTS": str(data.resolve())}
    with tempfile.TemporaryDirectory(prefix="lethe-bench-") as folder:
        port = _free_port()
        with (
            up.service(Path(folder), port, print),
            Client(f"http://{up.LOOPBACK}:{port}") as client,
        ):
            yield House(client, Path(folder))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((up.LOOPBACK, 0))
        return int(probe.getsockname()[1])
