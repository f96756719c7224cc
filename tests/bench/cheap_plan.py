"""A benchmark of cheap jobs, for tests; Ray's workers import this module."""

from dataclasses import dataclass

from trase_ns.bench.jobs import Job
from trase_ns.bench.plan import Plan


@dataclass(frozen=True)
class CheapPlan(Plan):
    """A benchmark whose jobs take no time: a quick one and a slow one for each scene."""

    seconds: float = 0.0

    def jobs(self, scene):
        folder, size = self.folder(scene), len(scene.name)
        quick = {"a": size, "b": 1, "log": str(self.output / f"{scene.name}-quick.txt")}
        slow = {"a": size, "b": 2, "log": str(self.output / f"{scene.name}-slow.txt"), "seconds": self.seconds}
        return [
            Job("pictures", "cheap_jobs:add", quick, {"a": size}, folder / "quick.json"),
            Job("trase", "cheap_jobs:slow_add", slow, {"a": size}, folder / "slow.json"),
        ]
