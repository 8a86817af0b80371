"""A trained model as one folder on disk: weights, labels, card and split. Never pickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_xai.data import files
from fashion_xai.data.labels import Taxonomy, Vocabulary
from fashion_xai.models import onnx_network
from fashion_xai.models.linear_heads import sizes
from fashion_xai.models.ood import OODScore
from fashion_xai.models.similar import ProductIndex

if TYPE_CHECKING:
    import keras
    import onnx

SHIPPED = Path(str(resources.files("fashion_xai"))) / "assets" / "model"
"""The bundle that ships with the package."""

MODEL, LABELS, CARD, SPLIT = "model.keras", "labels.json", "card.json", "split.csv"
GRAPH = "model.onnx"
"""The same network for ONNX Runtime; older bundles have none."""

OTHER_SPLIT = "split-{}.csv"
"""Of the other catalogues it was trained on, from 1, in the order of the card's ``also``."""

OOD = "ood.json"
OLD_OOD = "familiarity.json"  # what it was called once
"""The weights of the score that tells one product from anything else; only where fitted."""

SIMILAR = "similar.npz"
"""Embeddings of training products; only where they were made."""

TRUST = "trust.json"
"""How faithful the maps are; only where it was measured."""

FORMAT = 1


class BundleError(ValueError):
    """A folder that is no usable bundle; names the file and what was expected."""


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds.

    Args:
        vocabulary: attribute → labels, in the order of the model's outputs.
        taxonomy: the category triples of the training rows.
        card: format, cam_layer, input_size, configuration, metrics, sha256 of the files.
        folder: where it was read from.
        ood_score: tells one product from anything else; None where it was not fitted.
        trust: how faithful the maps are (``fashion_xai.trust.benchmark``); empty where not
            measured.
        graph: the network for ONNX Runtime; None in an older bundle, and where the model was
            changed since it was read.
        changed: the Keras model, where it is not that of the folder.
    """

    vocabulary: Vocabulary
    taxonomy: Taxonomy
    card: dict[str, Any]
    folder: Path
    ood_score: OODScore | None = None
    trust: dict[str, Any] = field(default_factory=dict)
    graph: onnx.ModelProto | None = None
    changed: keras.Model | None = None

    @cached_property
    def model(self) -> keras.Model:
        """float32 photos (n, H, W, 3) in 0–255 → list of logits, one per attribute; read from the
        folder when it is first asked for.

        Raises:
            BundleError: Keras is not installed, cannot read it, or it has other heads.
        """
        return self.changed or _load_model(self.folder / MODEL, self.vocabulary)

    @cached_property
    def products(self) -> ProductIndex | None:
        """The training products to compare a photo with; None where the bundle has none. Read from
        the folder when they are first asked for.

        Raises:
            BundleError: the file is of another network.
        """
        if SIMILAR not in self.card["sha256"] or self.changed is not None:
            return None
        try:
            return ProductIndex.load(self.folder / SIMILAR, len(self.vocabulary.attributes))
        except (ValueError, OSError, KeyError) as error:
            raise BundleError(f"{self.folder / SIMILAR}: {error}") from error

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the model's input."""
        height, width = self.card["input_size"]
        return height, width


def save(
    folder: Path,
    model: keras.Model,
    vocabulary: Vocabulary,
    taxonomy: Taxonomy,
    card: Mapping[str, Any],
    split: Path,
    other_splits: Sequence[Path] = (),
    ood_score: OODScore | None = None,
    graph: onnx.ModelProto | None = None,
) -> None:
    """Write a bundle, whole or not at all; an older one in its place is replaced.

    Args:
        card: what is known of the model; ``format`` and ``sha256`` are added here.
        split: CSV ``id,split`` to copy into the bundle.
        ood_score: as it was fitted; None where it was not.
        graph: of the same model, for ONNX Runtime; None where it cannot be converted here.
        other_splits: those of other catalogues, as many as the card names under ``also``.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        part.chmod(0o755)  # mkdtemp's 0700 would hide an installed bundle from other users
        model.save(part / MODEL)
        labels = {"attributes": vocabulary.to_json(), "taxonomy": taxonomy.to_json()}
        text = json.dumps(labels, ensure_ascii=False, indent=1) + "\n"
        (part / LABELS).write_text(text, encoding="utf-8")
        shutil.copyfile(split, part / SPLIT)
        others = [OTHER_SPLIT.format(n) for n in range(1, 1 + len(other_splits))]
        for name, source in zip(others, other_splits, strict=True):
            shutil.copyfile(source, part / name)
        names = [MODEL, LABELS, SPLIT, *others]
        if ood_score is not None:
            (part / OOD).write_text(json.dumps(ood_score.to_json()) + "\n", encoding="utf-8")
            names.append(OOD)
        if graph is not None:
            (part / GRAPH).write_bytes(graph.SerializeToString())
            names.append(GRAPH)
        sums = {name: _sha256(part / name) for name in names}
        _write_card(part, {"format": FORMAT, **card, "sha256": sums})
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def replace_graph(folder: Path, graph: onnx.ModelProto) -> None:
    """Give a bundle another ``model.onnx``; stopped in between, it is one without any."""
    _replace(folder, GRAPH, graph.SerializeToString())


def replace_products(folder: Path, products: ProductIndex) -> None:
    """Give a bundle other products to compare with; stopped in between, it is one without any."""
    _replace(folder, SIMILAR, products.to_bytes())


def _replace(folder: Path, name: str, content: bytes) -> None:
    sums = {other: x for other, x in read_card(folder)["sha256"].items() if other != name}
    update_card(folder, sha256=sums)
    files.write(folder / name, content)
    update_card(folder, sha256={**sums, name: _sha256(folder / name)})


def update_card(folder: Path, **entries: Any) -> None:
    """Add or replace entries of ``card.json``, whole or not at all."""
    _write_card(folder, {**read_card(folder), **entries})


def read_card(folder: Path) -> dict[str, Any]:
    """The bundle's ``card.json``.

    Raises:
        BundleError: not a bundle, or of another format.
    """
    card = _read_json(folder, CARD)
    if card.get("format") != FORMAT:
        raise BundleError(
            f"{folder / CARD}: expected format {FORMAT}. Received: {card.get('format')!r}"
        )
    sums, size = card.get("sha256"), card.get("input_size")
    if not isinstance(sums, dict) or not {MODEL, LABELS} <= set(sums):
        raise BundleError(f"{folder / CARD}: expected sha256 of {MODEL} and {LABELS}.")
    also = card.get("also", [])
    if not isinstance(also, list) or not all(isinstance(x, dict) for x in also):
        raise BundleError(f"{folder / CARD}: expected a list of catalogues in also.")
    others = {OTHER_SPLIT.format(n) for n in range(1, 1 + len(also))}
    if set(sums) - {MODEL, GRAPH, LABELS, SPLIT, OOD, OLD_OOD, SIMILAR, *others}:
        raise BundleError(f"{folder / CARD}: sha256 names files that no bundle has.")
    if not (isinstance(size, list) and len(size) == 2 and all(type(x) is int for x in size)):
        raise BundleError(f"{folder / CARD}: expected input_size [height, width]. Received: {size}")
    return card


def load(folder: str | os.PathLike | None = None) -> Bundle:
    """Read a bundle and check its files against the card.

    Args:
        folder: the bundle; None for the one that ships.

    Raises:
        BundleError: a file is missing, was changed, or does not fit the others.
    """
    path = SHIPPED if folder is None else Path(folder)
    card = read_card(path)
    for name, expected in card["sha256"].items():
        if not (path / name).is_file():
            raise BundleError(
                f"{path}: no {name}. Expected a folder with {MODEL}, {LABELS}, {CARD}."
            )
        if _sha256(path / name) != expected:
            raise BundleError(f"{path / name} was changed: its sha256 is not that of {CARD}.")
    labels = _read_json(path, LABELS)
    try:
        vocabulary = Vocabulary.from_json(labels.get("attributes", {}))
        taxonomy = Taxonomy.from_json(labels.get("taxonomy", []))
    except ValueError as error:
        raise BundleError(f"{path / LABELS}: {error}") from error
    graph = model = None
    if GRAPH in card["sha256"]:
        graph, channels = _read_graph(path / GRAPH, vocabulary)
    else:
        model = _load_model(path / MODEL, vocabulary)
        channels = model.get_layer(vocabulary.attributes[0]).kernel.shape[0]
    ood_score = None
    if found := next((name for name in (OOD, OLD_OOD) if name in card["sha256"]), None):
        try:
            ood_score = OODScore.from_json(_read_json(path, found), vocabulary.attributes, channels)
        except ValueError as error:
            raise BundleError(f"{path / found}: {error}") from error
    trust = _read_json(path, TRUST) if (path / TRUST).is_file() else {}
    # Figures of another model would be worse than none.
    if trust.get("model") != card["sha256"].get(MODEL):
        trust = {}
    return Bundle(vocabulary, taxonomy, card, path, ood_score, trust, graph, model)


def known(card: Mapping[str, Any], catalogue: str) -> tuple[str, dict[str, Any]]:
    """What a bundle knows of a catalogue by its file name: (file of the split, its table).

    That of the first one, whatever its name, where none of ``also`` has this name.
    """
    for number, other in enumerate(card.get("also", []), start=1):
        if other.get("name") == catalogue:
            return OTHER_SPLIT.format(number), other.get("table", {})
    return SPLIT, card.get("table", {})


def _read_graph(path: Path, vocabulary: Vocabulary) -> tuple[onnx.ModelProto, int]:
    """The network and the number of its features' channels."""
    try:
        graph = onnx_network.read(path)
        heads = onnx_network.heads_of(graph)
        kernels = onnx_network.weights_of(graph, heads, onnx_network.KERNEL)
    except onnx_network.UnsuitableGraph as error:
        raise BundleError(f"{path}: {error}") from error
    _check_heads(path, sizes(kernels), vocabulary)
    return graph, kernels[vocabulary.attributes[0]].shape[0]


def _load_model(path: Path, vocabulary: Vocabulary) -> keras.Model:
    """A Keras model of Keras' own layers and no others, with these heads."""
    try:
        import keras
    except ImportError as error:
        raise BundleError(
            f"{path}: only Keras reads this, and it is not installed: "
            'pip install "fashion-xai[keras]". '
            f"`python -m training.export {path.parent}` gives a bundle its {GRAPH}, which needs "
            "no Keras."
        ) from error
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, OSError,
            RecursionError, zipfile.BadZipFile) as error:  # fmt: skip
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BundleError(f"{path}: Keras cannot read this model: {lines[0][:300]}") from error
    if not isinstance(model, keras.Model) or not model.built:
        raise BundleError(f"{path}: expected a built Keras model. Received: {type(model).__name__}")
    outputs = {layer: shape[-1] for layer, shape in zip(model.output_names, model.output_shape)}
    _check_heads(path, outputs, vocabulary)
    return model


def _check_heads(path: Path, found: Mapping[str, int], vocabulary: Vocabulary) -> None:
    if found != vocabulary.sizes or list(found) != list(vocabulary.attributes):
        raise BundleError(f"{path}: expected the heads {vocabulary.sizes}. Received: {found}")


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        return files.read_json(folder / name)
    except FileNotFoundError:
        raise BundleError(
            f"{folder}: no {name}. Expected a bundle, as written by training.train."
        ) from None
    except ValueError as error:
        raise BundleError(str(error)) from error


def _write_card(folder: Path, card: Mapping[str, Any]) -> None:
    part = folder / f"{CARD}.part"
    part.write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(part, folder / CARD)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
