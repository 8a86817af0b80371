"""Images → predictions and feature maps, in one forward pass."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fashion_xai.data import images
from fashion_xai.data.images import ImageLike
from fashion_xai.data.labels import Taxonomy, Vocabulary
from fashion_xai.maps import methods
from fashion_xai.models import bundle, hub, onnx_network
from fashion_xai.models.decoding import Decoder
from fashion_xai.models.linear_heads import LinearHeads
from fashion_xai.models.ood import OODScore
from fashion_xai.models.outputs import Explanation, ForwardPass, Prediction
from fashion_xai.models.similar import NEAREST, SimilarProduct

BATCH_SIZE = 32


RUNNER_UP = "(runner-up)"
"""As a target: the most probable label that is not the answer."""

Target = str | Sequence[str]
"""A label, RUNNER_UP, or several labels: a group such as ``taxonomy.articles_of("Topwear")``."""


class FashionClassifier:
    """A trained bundle ready to predict and explain. Safe to share between threads.

    Args:
        loaded: the bundle.
        batch_size: photos per forward pass.
        providers: execution providers of ONNX Runtime, the first choice first; None takes a GPU's
            where the installed ONNX Runtime has one, else the CPU's.
        threads: that one forward pass uses; None for as many as there are cores, which answers one
            photo soonest. With 1, ``passes`` of them run at once, which answers most photos.

    Raises:
        bundle.BundleError: the network's heads are not linear in its pooled features.
        ValueError: a provider that is not installed.

    >>> classifier = FashionClassifier.load()  # the bundle that ships
    >>> (answer,) = classifier.predict("demo/examples/pink-dress.png")
    >>> answer["masterCategory"].label
    'Apparel'
    >>> maps = classifier.explain("demo/examples/pink-dress.png", "gradcam", ["masterCategory"])
    >>> maps["masterCategory"].heatmap.shape
    (16, 12)
    """

    def __init__(
        self,
        loaded: bundle.Bundle,
        batch_size: int = BATCH_SIZE,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ):
        self.bundle = loaded
        self.batch_size = batch_size
        self.decoder = Decoder(loaded.vocabulary, loaded.taxonomy, loaded.card.get("temperatures"))
        self.ood_score = loaded.ood_score or OODScore.plain(loaded.vocabulary.attributes)
        self.threshold: float | None = loaded.card.get("abstention", {}).get("threshold")
        self.network = _network(loaded, providers, threads)
        self.passes = max(1, cores() // threads) if threads and loaded.graph else 1
        if self.layer != loaded.card["cam_layer"]:
            raise bundle.BundleError(
                f"{loaded.folder / bundle.CARD}: expected cam_layer {self.layer!r}, which enters "
                f"the model's pooling. Received: {loaded.card['cam_layer']!r}"
            )

    @classmethod
    def load(
        cls,
        path: str | PathLike | None = None,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> FashionClassifier:
        """Read a bundle; None takes the one that ships.

        Args:
            path: its folder, or ``hf://owner/name[@revision]`` on the Hugging Face Hub.
            providers, threads: as of the class.

        Raises:
            bundle.BundleError: no usable bundle; says why.
        """
        if hub.is_address(path):
            path = hub.download(str(path))
        return cls(bundle.load(path), providers=providers, threads=threads)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | PathLike,
        *,
        revision: str | None = None,
        cache_dir: str | PathLike | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        token: str | bool | None = None,
        **options: Any,
    ) -> FashionClassifier:
        """:meth:`load` by the names that the Hub's libraries use (``ModelHubMixin``).

        Args:
            pretrained_model_name_or_path: a bundle's folder, or ``owner/name`` on the Hub.
            revision, cache_dir, local_files_only, force_download, token: of the Hub.
            options: ``providers`` and ``threads``.
        """
        name = pretrained_model_name_or_path
        if Path(name).is_dir():
            return cls.load(name, **options)
        where = Path(cache_dir) if cache_dir else None
        return cls.load(
            hub.download(str(name), revision, where, local_files_only, force_download, token),
            **options,
        )

    def save_pretrained(self, save_directory: str | PathLike) -> None:
        """Write the bundle with the Hub's model card. Raises ``bundle.BundleError``."""
        hub.save(self.bundle.folder, Path(save_directory))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | bool | None = None,
        branch: str | None = None,
        commit_message: str = "Share a fashion_xai bundle",
    ) -> str:
        """Share the bundle on the Hub, see :func:`fashion_xai.models.hub.push`; the commit's
        address."""
        folder = self.bundle.folder
        return hub.push(folder, repo_id, private, token, branch, commit_message)

    @property
    def layer(self) -> str:
        """The layer whose features enter the pooling."""
        return self.network.layer

    @property
    def biases(self) -> dict[str, np.ndarray]:
        """Attribute → (n_labels,): what a map's sum lacks to the logit."""
        return self.network.biases

    @property
    def vocabulary(self) -> Vocabulary:
        return self.bundle.vocabulary

    @property
    def taxonomy(self) -> Taxonomy:
        return self.bundle.taxonomy

    @property
    def attributes(self) -> tuple[str, ...]:
        return self.vocabulary.attributes

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        return self.bundle.size

    def read(self, photos: Iterable[ImageLike]) -> Iterator[ForwardPass]:
        """One forward pass per ``batch_size`` photos, which are taken as they are needed.

        Raises:
            images.ImageError: a photo cannot be used; the message says which.
        """
        total = len(photos) if isinstance(photos, Sized) else None
        waiting = enumerate(photos)
        while batch := list(islice(waiting, self.batch_size)):
            loaded = [_load(photo, place, total) for place, photo in batch]
            yield from self.read_fitted([images.letterbox(x, self.size) for x in loaded])

    def read_fitted(self, fitted: Sequence[tuple[np.ndarray, images.Box]]) -> list[ForwardPass]:
        """One forward pass over photos that ``images.letterbox`` has fitted already."""
        pixels = np.stack([canvas for canvas, _ in fitted]).astype(np.float32)
        features, logits = self.network.forward(pixels)
        return [
            ForwardPass(canvas, features[i], {name: x[i] for name, x in logits.items()}, box)
            for i, (canvas, box) in enumerate(fitted)
        ]

    def predict(self, photos: ImageLike | Sequence[ImageLike]) -> list[dict[str, Prediction]]:
        """Predict all attributes of each photo.

        Args:
            photos: bytes, paths, open files, PIL images or arrays; see ``images.load``.

        Returns:
            One dict per photo, attribute → :class:`Prediction`, in the attributes' order.

        Raises:
            images.ImageError: a photo cannot be used; the message says which.
        """
        return [self.predictions(forward_pass) for forward_pass in self.read(_as_list(photos)[0])]

    def explain(
        self,
        photos: ImageLike | Sequence[ImageLike],
        method: str = methods.DEFAULT,
        attributes: Sequence[str] | None = None,
        targets: Mapping[str, Target] | None = None,
        against: Mapping[str, Target] | None = None,
    ) -> Any:
        """Predict and explain from the same forward pass.

        Args:
            photos: one photo, or a list of them.
            method: a name of :mod:`fashion_xai.maps.methods`. The default explains the log-odds,
                why this label rather than its rivals, along the photo's edges; "gradcam-odds" is
                the same in the network's own cells. The cells of "gradcam" sum to the logit.
            attributes: which heads; None for all.
            targets: attribute → label to explain; the predicted one where not given. Of several
                labels the mean of their logits is explained.
            against: attribute → label or labels to compare with: "why target and not this one".

        Returns:
            Attribute → :class:`Explanation`; a list of such dicts for a list of photos.

        Raises:
            images.ImageError: a photo cannot be used.
            KeyError: an unknown attribute or label; the message offers close ones.
            ValueError: an unknown method.
            ImportError: one whose extra is not installed; says how to get it.
        """
        methods.find(method)  # before the network works
        batch, single = _as_list(photos)
        answers = [
            self.explanations(forward_pass, attributes, targets, against, method)
            for forward_pass in self.read(batch)
        ]
        return answers[0] if single else answers

    def predictions(self, forward_pass: ForwardPass) -> dict[str, Prediction]:
        """The predictions of a forward pass already made."""
        probabilities = self.decoder.probabilities(
            {a: x[None] for a, x in forward_pass.logits.items()}
        )
        indices = self.decoder.labels(probabilities)
        together = self.decoder.together(probabilities)
        answers = {}
        for attribute, logits in forward_pass.logits.items():
            index = int(indices[attribute][0])
            (row,) = probabilities[attribute]
            labels = self.vocabulary.labels[attribute]
            answers[attribute] = Prediction(
                attribute=attribute,
                label=labels[index],
                index=index,
                probability=float(row[index]),
                probabilities=row,
                logits=logits,
                raw_label=labels[int(row.argmax())],
                labels=labels,
                together=together[attribute][0] if attribute in together else None,
            )
        return answers

    def explanations(
        self,
        forward_pass: ForwardPass,
        attributes: Sequence[str] | None = None,
        targets: Mapping[str, Target] | None = None,
        against: Mapping[str, Target] | None = None,
        method: str = methods.DEFAULT,
        network: LinearHeads | None = None,
    ) -> dict[str, Explanation]:
        """The maps of a forward pass already made; see :meth:`explain`.

        Args:
            network: what a method that changes the photo asks again; None for the own network.
        """
        chosen_method = methods.find(method)
        if not chosen_method.available:
            raise ImportError(chosen_method.remedy)
        targets, against = targets or {}, against or {}
        chosen = self.attributes if attributes is None else attributes
        for name in (*chosen, *targets, *against):
            if name not in self.attributes:
                raise KeyError(
                    f"Unknown attribute. Expected one of {self.attributes}. Received: {name!r}"
                )
        predictions = self.predictions(forward_pass)
        asked, named = {}, {}
        for attribute in chosen:
            prediction = predictions[attribute]
            target = self._resolve(targets.get(attribute, prediction.label), prediction)
            asked[attribute] = self.coefficients(attribute, target)
            other = None
            if attribute in against:
                other = self._resolve(against[attribute], prediction)
                asked[attribute] -= self.coefficients(attribute, other)
            named[attribute] = " / ".join(target), None if other is None else " / ".join(other)
        maps = chosen_method.compute(network or self.network, forward_pass, asked)
        return {
            attribute: Explanation(
                prediction=predictions[attribute],
                target=target,
                against=other,
                method=chosen_method.name,
                layer=self.network.layer,
                unit=chosen_method.unit,
                heatmap=maps[attribute],
                box=forward_pass.box,
            )
            for attribute, (target, other) in named.items()
        }

    def similar(self, forward_pass: ForwardPass, k: int = NEAREST) -> list[SimilarProduct]:
        """The training products that a photo resembles most, the nearest first; none where the
        bundle has none (``python -m training.similar`` makes them).

        Args:
            k: how many.
        """
        products = self.bundle.products
        return products.products(self.vocabulary, forward_pass.pooled, k) if products else []

    def is_one_product(self, forward_pass: ForwardPass) -> bool | None:
        """Whether the photo looks like one product; None where the bundle has no threshold.

        False means: doubt every answer. The threshold and how well it separates are in the
        bundle's card under ``abstention``.
        """
        (answer,) = self.are_one_product(
            forward_pass.pooled[None], {a: x[None] for a, x in forward_pass.logits.items()}
        )
        return answer

    def are_one_product(
        self, pooled: np.ndarray, logits: Mapping[str, np.ndarray]
    ) -> list[bool | None]:
        """:meth:`is_one_product` of n photos at once.

        Args:
            pooled: (n, channels), the mean of the features over their cells.
            logits: attribute → (n, labels).
        """
        if self.threshold is None:
            return [None] * len(pooled)
        return (self.ood_score.score(pooled, logits) >= self.threshold).tolist()

    def top(self, prediction: Prediction, k: int = 3) -> list[tuple[str, float]]:
        """The answer, then the most probable other labels, k in all, with their probabilities."""
        return prediction.top(k)

    def _resolve(self, target: Target, prediction: Prediction) -> list[str]:
        """The labels that a target means."""
        if target == RUNNER_UP:
            return [label for label, _ in self.top(prediction, 2)[1:]]
        return [target] if isinstance(target, str) else list(target)

    def coefficients(self, attribute: str, labels: Sequence[str]) -> np.ndarray:
        """float32 (n_labels,): 1 / n at each of the n labels; logits @ them is their mean logit.

        Raises:
            KeyError: an unknown label.
            ValueError: no label.
        """
        if not labels:
            raise ValueError(f"Expected one label of {attribute} or more. Received: none")
        row = np.zeros(len(self.vocabulary.labels[attribute]), np.float32)
        row[[self.vocabulary.index(attribute, label) for label in labels]] = 1 / len(labels)
        return row


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def _network(
    loaded: bundle.Bundle, providers: Sequence[str] | None, threads: int | None
) -> LinearHeads:
    """The bundle's network in ONNX Runtime; in Keras where the bundle has no graph for that."""
    if loaded.graph is None:
        return _in_keras(loaded)
    try:
        return onnx_network.OnnxNetwork(loaded.graph, lambda: _in_keras(loaded), providers, threads)
    except onnx_network.UnsuitableGraph as error:
        raise bundle.BundleError(f"{loaded.folder / bundle.GRAPH}: {error}") from error


def _in_keras(loaded: bundle.Bundle) -> LinearHeads:
    model = loaded.model  # where Keras is missing, this says so
    from fashion_xai.network import Network, UnsuitableModel

    try:
        network = Network(model, loaded.vocabulary.attributes)
    except UnsuitableModel as error:
        raise bundle.BundleError(f"{loaded.folder / bundle.MODEL}: {error}") from error
    # Traced here, once: two threads tracing the same function at once would race.
    network.forward(np.zeros((1, *loaded.size, 3), np.float32))
    return network


def _as_list(photos: ImageLike | Sequence[ImageLike]) -> tuple[list[ImageLike], bool]:
    """The photos as a list, and whether it was a single one."""
    if isinstance(photos, str | bytes | bytearray | memoryview | PathLike | Image.Image):
        return [photos], True  # type: ignore[list-item]
    if images.is_open_file(photos):
        return [photos], True
    if isinstance(photos, np.ndarray) and photos.ndim < 4:
        return [photos], True
    return list(photos), False


def _load(photo: ImageLike, position: int, total: int | None) -> np.ndarray:
    try:
        return images.load(photo)
    except images.ImageError as error:
        if total == 1:
            raise
        name = f" ({photo})" if isinstance(photo, str | PathLike) else ""
        of = "" if total is None else f" of {total}"
        raise images.ImageError(f"Photo {position + 1}{of}{name}: {error}") from error
