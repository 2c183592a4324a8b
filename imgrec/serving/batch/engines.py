"""Who answers the parts of a batch: this process, Dask's, or Ray's. `ENGINES` has them by name."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgrec.errors import InputError
from imgrec.extras import require
from imgrec.processors import cores
from imgrec.serving.batch.parts import Job, write


@dataclass(frozen=True)
class Crew:
    """Who is to work: `jobs` processes, started here, or those of a cluster at `address`."""

    jobs: int = 0
    address: str = ""

    @property
    def count(self) -> int:
        """How many processes."""
        return self.jobs or cores()


Part = tuple[int, Sequence[str]]
Engine = Callable[[Job, Sequence[Part], Crew], Iterator[int]]
"""Has each part answered and written; gives its number when that is done."""


def answer(job: Job, part: Part, threads: int | None = 1) -> int:
    """Answer the images of a part and write it; return its number. Raises InputError as `Predictor.load`."""
    number, images = part
    predictor = _predictor(job.run, job.version, job.keras, threads)
    write(job, number, predictor.answers(map(Path, images), job.top))
    return number


@functools.lru_cache(1)
def _predictor(run: Path, version: str, keras: bool, threads: int | None) -> Any:
    """Load once in a process. `version` is the digest, so that nothing else is answered with."""
    from imgrec.serving.identity import identity
    from imgrec.serving.predictor import Predictor

    if identity(run)[1] != version:
        raise InputError(f"{run}: its files changed since the command began, or this machine has others")
    return Predictor.load(run, keras, threads)


def plain(job: Job, parts: Sequence[Part], crew: Crew) -> Iterator[int]:
    """Answer one part after another in this process."""
    for part in parts:
        yield answer(job, part, None)


def dask(job: Job, parts: Sequence[Part], crew: Crew) -> Iterator[int]:
    """Answer by Dask's processes. Raises InputError where there is no Dask, or nobody at the address."""
    distributed = require("distributed", "dask", "--engine dask")
    try:
        if crew.address:
            client = distributed.Client(crew.address)
        else:
            cluster = distributed.LocalCluster(
                n_workers=crew.count, threads_per_worker=1, dashboard_address=None
            )
            client = distributed.Client(cluster)
    except (OSError, ValueError) as error:
        raise InputError(f"--address {crew.address}: no Dask scheduler answers there ({error})") from None
    with client:
        asked = [client.submit(answer, job, part, pure=False) for part in parts]
        for done in distributed.as_completed(asked):
            yield done.result()
            done.release()
        if not crew.address:
            client.cluster.close()


class _Answerer:
    """What a process of Ray Data does with each part."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __call__(self, row: Mapping[str, Any]) -> dict[str, int]:
        images = [os.fsdecode(name) for name in row["images"]]
        return {"part": answer(self._job, (int(row["part"]), images))}


def ray(job: Job, parts: Sequence[Part], crew: Crew) -> Iterator[int]:
    """Answer by Ray Data. Raises InputError where there is no Ray, or nobody at the address."""
    ours = require("ray", "ray", "--engine ray")
    for package in ("pandas", "pyarrow", "ray.data"):  # which Ray Data imports, and Ray alone does not bring
        require(package, "ray", "--engine ray")
    try:
        ours.init(
            address=crew.address or "local",
            num_cpus=None if crew.address else crew.count,
            include_dashboard=False if not crew.address else None,
            log_to_driver=False,
            logging_level="error",
        )
    except (ConnectionError, RuntimeError) as error:
        raise InputError(f"--address {crew.address}: no Ray cluster answers there ({error})") from None
    try:
        ours.data.DataContext.get_current().enable_progress_bars = False
        rows = [{"part": number, "images": list(map(os.fsencode, images))} for number, images in parts]
        held = ours.data.from_items(rows, override_num_blocks=len(rows))
        done = held.map(_Answerer, fn_constructor_args=(job,), concurrency=crew.count)
        for row in done.iter_rows():
            yield int(row["part"])
    finally:
        ours.shutdown()


ENGINES: Mapping[str, Engine] = {"plain": plain, "dask": dask, "ray": ray}
"""One of one's own is a function and an entry more."""
