"""One run: the chunks that are not finished, by whichever engine was asked for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.photos import ProductPhotos
from fashion_xai.data.products import Product
from fashion_xai.engines import local, parts
from fashion_xai.engines.parts import Parts
from fashion_xai.engines.work import Work
from fashion_xai.progress import ProgressBar


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster, and what of it a run may use.

    Args:
        address: "auto" for the one that this machine belongs to, HOST:PORT of another one; None
            starts one of this machine.
        actors: networks at once; None for as many as the cluster has cores, or GPUs to give.
        gpus: that each of them gets; parts of one are fine.
        cores: that each of them gets; it makes as many forward passes at once.
    """

    address: str | None = None
    actors: int | None = None
    gpus: float = 0
    cores: int = 1


def run(
    work: Work,
    classifier: FashionClassifier,
    photos: ProductPhotos,
    products: Sequence[Product],
    to: Parts,
    cluster: Cluster | None = None,
    name: str = "",
) -> float:
    """Compute and keep what is not there yet.

    Args:
        work: what is made of the products.
        classifier: whose network reads them.
        photos: of the products.
        products: all of them, in the order that the run is about.
        to: where finished chunks are.
        cluster: that computes; None for this machine.
        name: before the progress bar.

    Returns:
        The seconds that it took.

    Raises:
        ValueError: Ray is not installed, not reached, or fails time and again.
    """
    started = time.perf_counter()
    size = max(parts.CHUNK // classifier.batch_size, 1) * classifier.batch_size  # whole batches
    chunks = to.chunks(products, size)
    done = len(products) - sum(map(len, chunks.values()))
    with ProgressBar(
        total=len(products), initial=done, unit="photo", desc=name, smoothing=0.02
    ) as bar:
        if cluster is None:
            finished = local.run(work, classifier, photos, chunks, bar)
        else:
            from fashion_xai.engines import ray_data

            finished = ray_data.run(work, classifier, photos, chunks, bar, cluster)
        for number, table in finished if chunks else ():
            to.write(number, table)
    for note in to.notes():
        print(note)
    return round(time.perf_counter() - started, 2)
