"""A teacher's soft labels beside the labels: what a trained bundle says about the studio photo.

Where labels are noisy, training on half of each keeps a network from learning the noise by heart
(Hinton et al. 2015, arXiv:1503.02531; Furlanello et al. 2018, arXiv:1805.04770).
The teacher sees the photo as it is and the network sees it augmented, so that it learns to say
in front of any background what the teacher says in front of white.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data.labels import Vocabulary
from fashion_xai.inference import read_canvases
from fashion_xai.models.bundle import MODEL
from fashion_xai.models.decoding import softmax
from fashion_xai.progress import ProgressBar


@dataclass(frozen=True)
class Teacher:
    """Soft labels of n products.

    Args:
        weight: of the soft label beside the label, in 0–1.
        soft_labels: one per head, float16 (n, k): probabilities, or zeros where there are none.
    """

    weight: float
    soft_labels: Sequence[np.ndarray]

    def targets(
        self, rows: np.ndarray, labels: np.ndarray, allowed: Sequence[np.ndarray] | None = None
    ) -> tuple[np.ndarray, ...]:
        """One float32 (b, k) per head: label and soft label mixed, summing to 1; zeros where the
        label is missing. Of several allowed labels the teacher chooses: its soft label among them.

        Args:
            rows: int (b,), the products.
            labels: int (b, heads), negative where missing or one of several.
            allowed: per head 0 or 1 (b, k), the labels that may be true.
        """
        mixed = []
        for head, (label, soft_labels) in enumerate(zip(labels.T, self.soft_labels, strict=True)):
            known = label >= 0
            target = np.zeros((len(rows), soft_labels.shape[1]), np.float32)
            target[known, label[known]] = 1
            soft = soft_labels[rows].astype(np.float32)
            heard = known & (soft.sum(1) > 0)
            soft[heard] /= soft[heard].sum(1, keepdims=True)
            target[heard] += self.weight * (soft[heard] - target[heard])
            if allowed is not None:
                several = allowed[head].sum(1) > 1
                among = allowed[head] * (soft_labels[rows].astype(np.float32) + 1e-6)
                target[several] = (among / np.maximum(among.sum(1, keepdims=True), 1e-9))[several]
            mixed.append(target)
        return tuple(mixed)


def ask(
    folder: Path,
    catalogues: Sequence[tuple[np.ndarray, np.ndarray]],
    vocabulary: Vocabulary,
    weight: float,
    file: Path,
) -> Teacher:
    """Let a bundle judge the products to train on; ``file`` keeps what it said for a resume.

    Args:
        folder: the teacher's bundle; labels it does not know get no probability from it.
        catalogues: of each uint8 (n, H, W, 3 or more), all its products at the teacher's size, and
            int (m,), those to judge; the soft labels have them one after the other.
        vocabulary: the heads and labels to train.
        weight: see :class:`Teacher`.
    """
    classifier = FashionClassifier.load(folder)
    judged = [len(rows) for _, rows in catalogues]
    stamp = np.array([classifier.bundle.card["sha256"][MODEL], " ".join(map(str, judged))])
    if file.exists():
        with np.load(file, allow_pickle=False) as kept:
            if (kept["stamp"] == stamp).all():
                return Teacher(weight, [kept[a] for a in vocabulary.attributes])
    total = sum(len(pixels) for pixels, _ in catalogues)
    soft_labels = {a: np.zeros((total, n), np.float16) for a, n in vocabulary.sizes.items()}
    places = {
        a: [(labels.index(x), i) for i, x in enumerate(vocabulary.labels[a]) if x in labels]
        for a, labels in classifier.vocabulary.labels.items()
        if a in soft_labels
    }
    bar = ProgressBar(total=sum(judged), unit="photo", desc="asking the teacher")
    start = 0
    for pixels, rows in catalogues:
        for row, forward_pass in zip(rows, read_canvases(classifier, pixels, rows), strict=True):
            for a, pairs in places.items():
                if pairs:
                    theirs, mine = np.array(pairs).T
                    logits = forward_pass.logits[a][None]
                    (said,) = softmax(logits, classifier.decoder.temperatures[a])
                    soft_labels[a][start + row, mine] = said[theirs]
            bar.update()
        start += len(pixels)
    bar.close()
    unfinished = file.with_suffix(".part")
    with unfinished.open("wb") as stream:
        np.savez(stream, stamp=stamp, **soft_labels)  # type: ignore[arg-type]
    os.replace(unfinished, file)
    return Teacher(weight, list(soft_labels.values()))
