"""The engine of a Ray cluster: Ray Data streams chunks of products through actors, each of which
holds the network.

A chunk is one block: it is computed by one actor, computed again where the actor or its node is
lost, and written by the process that asked, which needs no disk that others see. Photos are read
where they are computed: at addresses, or in folders that every node has at the same path.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.photos import ProductPhotos
from fashion_xai.data.products import Product
from fashion_xai.data.sources import Source
from fashion_xai.engines.work import Work, answers
from fashion_xai.progress import ProgressBar

if TYPE_CHECKING:
    from fashion_xai.engines.run import Cluster

CHUNK = "chunk"
"""Column with a chunk's number."""

FAILURES = 3
"""Times that the cluster may fail without a chunk between them before the run is given up."""

REACHED_WITHIN = 10
"""Seconds until a cluster's address must answer."""

_SENT = pa.schema(
    [
        (CHUNK, pa.int64()), ("id", pa.string()), ("row", pa.int64()), ("title", pa.string()),
        ("labels", pa.string()), ("side", pa.string()), ("source", pa.int32()),
        ("photo", pa.string()),
    ]
)  # fmt: skip
"""What an actor is told of a product; labels as JSON."""


def run(
    work: Work,
    classifier: FashionClassifier,
    photos: ProductPhotos,
    chunks: Mapping[int, Sequence[Product]],
    bar: ProgressBar,
    cluster: Cluster,
) -> Iterator[tuple[int, pa.Table]]:
    """Each chunk's number and table, as they are finished.

    Args:
        work, classifier, photos, chunks, bar: as of :func:`fashion_xai.engines.local.run`.
        cluster: that computes.

    Raises:
        ValueError: as of :func:`fashion_xai.engines.run.run`.
    """
    ray = _ray()
    waiting, failures, why = dict(chunks), 0, ""
    with _connected(ray, cluster.address):
        while waiting and failures < FAILURES:
            failures += 1  # until a chunk comes
            try:
                left = dict(waiting)
                for number, table in _stream(ray, work, classifier, photos, left, cluster):
                    failures = 0
                    del waiting[number]
                    bar.update(table.num_rows)
                    yield number, table
            except ray.exceptions.UserCodeException as error:
                last = str(error).strip().splitlines()[-1]
                raise ValueError(f"A worker failed: {last}") from error
            except ray.exceptions.RayError as error:  # a lost node, say: the rest is asked anew
                why = f" ({type(error).__name__})"
    if waiting:
        raise ValueError(
            f"The Ray cluster failed {failures} times{why}. What is finished is kept: the same "
            "command goes on."
        )


def _ray() -> Any:
    # Nothing here may leave the machine: Ray reports to its makers unless told otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what fails is told by exceptions
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # tomorrow's usual
    try:
        import ray
        import ray.data
    except ImportError:
        raise ValueError('--engine ray needs: pip install "fashion-xai[ray]".') from None
    return ray


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    if ray.is_initialized():  # by whoever calls, as on a notebook of the cluster
        yield
        return
    try:
        if address not in (None, "auto"):  # Ray would wait for it for minutes
            host, _, port = address.rpartition("/")[2].rpartition(":")
            socket.create_connection((host, int(port)), REACHED_WITHIN).close()
        # "local": without it Ray joins whatever other cluster runs here
        ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"--address {address}: no Ray cluster is reached ({error}).") from error
    try:
        yield
    finally:
        ray.shutdown()


def _stream(
    ray: Any,
    work: Work,
    classifier: FashionClassifier,
    photos: ProductPhotos,
    chunks: Mapping[int, Sequence[Product]],
    cluster: Cluster,
) -> Iterator[tuple[int, pa.Table]]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # ours counts products
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    resources = ray.cluster_resources()
    has = resources.get("CPU", 1) / cluster.cores
    if cluster.gpus:
        there = resources.get("GPU", 0)
        if cluster.address is None and there < cluster.gpus:  # it would be waited for in vain
            raise ValueError(f"--gpus {cluster.gpus:g}: this machine has {there:g} for Ray.")
        has = min(has, there / cluster.gpus)
    actors = min(cluster.actors or max(int(has), 1), len(chunks))
    sources = {id(s): n for n, s in enumerate(photos.sources)}
    sent = [_sent(number, chunk, photos, sources) for number, chunk in chunks.items()]
    blocks = ray.data.from_arrow(sent)  # a block each: a chunk is computed as a whole
    answered = blocks.map_batches(
        _Actor,
        fn_constructor_args=(work, ray.put(_files(classifier)), ray.put(photos.sources)),
        fn_constructor_kwargs={"batch_size": classifier.batch_size, "passes": cluster.cores},
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
        num_cpus=cluster.cores,
        num_gpus=cluster.gpus or None,
        udf_modifying_row_count=False,
    )  # Ray Data restarts actors and retries their tasks without end where nothing else is said
    found: dict[int, list[pa.Table]] = {}
    for block in answered.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
        number = block[CHUNK][0].as_py()
        tables = found.setdefault(number, [])
        tables.append(block.drop_columns([CHUNK]))
        if sum(t.num_rows for t in tables) == len(chunks[number]):  # a large one may come in two
            yield number, pa.concat_tables(found.pop(number))


def _files(classifier: FashionClassifier) -> dict[str, bytes]:
    """The bundle: workers need not have it."""
    return {f.name: f.read_bytes() for f in classifier.bundle.folder.iterdir() if f.is_file()}


def _sent(
    number: int, chunk: Sequence[Product], photos: ProductPhotos, sources: Mapping[int, int]
) -> pa.Table:
    places = [photos.places[p.id] for p in chunk]
    columns = {
        CHUNK: [number] * len(chunk),
        "id": [p.id for p in chunk],
        "row": [p.row for p in chunk],
        "title": [p.title for p in chunk],
        "labels": [json.dumps(p.labels) for p in chunk],
        "side": [p.side for p in chunk],
        "source": [sources[id(files)] for files, _ in places],
        "photo": [name for _, name in places],
    }
    return pa.table(columns, schema=_SENT)


def _received(
    block: pa.Table, sources: Sequence[Source]
) -> tuple[int, list[Product], ProductPhotos]:
    rows = block.to_pylist()
    products = [
        Product(r["id"], r["row"], json.loads(r["labels"]), r["title"], side=r["side"])
        for r in rows
    ]
    places = {r["id"]: (sources[r["source"]], r["photo"]) for r in rows}
    return rows[0][CHUNK], products, ProductPhotos(places)


class _Actor:
    """A network on its cores, or with its share of GPUs.

    Args:
        work: what it makes of products.
        files: reference of the bundle's files.
        sources: reference of what photos lie among.
        batch_size: as of the classifier that asked.
        passes: at once, a core each: the other cores are other actors'.
    """

    def __init__(self, work: Work, files: Any, sources: Any, batch_size: int, passes: int):
        import ray

        with tempfile.TemporaryDirectory(prefix="fashion-xai-") as folder:
            for name, data in ray.get(files).items():
                Path(folder, name).write_bytes(data)
            self.classifier = FashionClassifier.load(folder, threads=1)
        self.classifier.batch_size = batch_size
        self.classifier.passes = passes
        self.work, self.sources = work, ray.get(sources)

    def __call__(self, block: pa.Table) -> pa.Table:
        number, products, photos = _received(block, self.sources)
        table = pa.concat_tables(answers(self.work, self.classifier, photos, products))
        return table.append_column(CHUNK, pa.array([number] * table.num_rows, pa.int64()))
