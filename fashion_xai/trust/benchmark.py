"""Make a trust card: measure a bundle's maps, beside controls, on labelled photos.

``python -m fashion_xai trust --data …`` does it; the card is kept in the bundle as ``trust.json``
(see :mod:`fashion_xai.trust.card`).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sklearn.datasets import load_sample_images

from fashion_xai.classifier import FashionClassifier
from fashion_xai.data import images
from fashion_xai.data.catalogue import Catalogue, Product
from fashion_xai.data.files import write
from fashion_xai.data.masks import set_on, silhouette
from fashion_xai.data.split import in_split, split_of
from fashion_xai.maps.methods import CLOSED, DEFAULT, METHODS
from fashion_xai.metrics import mean_with_interval
from fashion_xai.models import bundle
from fashion_xai.models.bundle import MODEL, TRUST
from fashion_xai.models.decoding import softmax
from fashion_xai.progress import ProgressBar
from fashion_xai.trust import controls, further, pointing_game
from fashion_xai.trust.agreement import compare_heads
from fashion_xai.trust.card import ARRANGEMENTS, CONTROLS, MEASURES
from fashion_xai.trust.faithfulness import Case, Score, measure
from fashion_xai.trust.randomization import cascade

PLACED_HEIGHT = 0.45
"""Of the canvas: the height of a placed product's photo."""

ROWS = "rows.jsonl"

Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What a trust card measures.

    Args:
        methods: whose maps.
        heads: whose answers.
        split: of the bundle's, whose products are drawn from: train, validation or test.
        arrangements: of the photos, of :data:`~fashion_xai.trust.card.ARRANGEMENTS`.
        photos: how many; those that cannot be used are counted in the card and left out.
        grids: pictures of four products for the grid pointing game; 0 leaves it out.
        agreement: products whose heads are compared with each other; 0 leaves it out.
        sanity: how many of the photos the sanity check is made with; 0 leaves it out.
        further: how many of them :mod:`fashion_xai.trust.further` looks at; 0 leaves it out.
        seed: of the draw.
    """

    methods: Sequence[str]
    heads: Sequence[str]
    split: str = "test"
    arrangements: Sequence[str] = ARRANGEMENTS
    photos: int = 100
    grids: int = 0
    agreement: int = 0
    sanity: int = 0
    further: int = 0
    seed: int = 0


def make_card(
    classifier: FashionClassifier, catalogue: Catalogue, plan: Plan, out: Path
) -> dict[str, Any]:
    """Measure a random choice of one split's products and write ``out/trust.json``.

    Raises:
        ValueError: no product of that split, or rows of other settings in ``out``.
    """
    source = _Photos(catalogue, _shuffled(classifier, catalogue, plan))
    first = source.products[: plan.photos]
    card: dict[str, Any] = {
        "model": classifier.bundle.card["sha256"][MODEL],
        "catalogue": Path(str(catalogue.source)).name,
        "split": plan.split,
        "figures": _figures(classifier, source, first, plan, out),
        "photos": len(first) - len(source.rejected),
        "seed": plan.seed,
    }
    if plan.grids:
        card["grid"] = _grids(classifier, source, first, plan)
    if plan.agreement:
        several = source.usable(source.products[: plan.agreement], "heads against each other")
        card["heads"] = compare_heads(classifier, (photo for _, photo in several))
    if plan.sanity:
        some = [photo for _, photo in islice(source.usable(first), plan.sanity)]
        maps = cascade(classifier, some, plan.methods, plan.heads)
        card["sanity"] = {"photos": len(some), "maps": maps}
    if plan.further:
        photos = (photo for _, photo in source.usable(first[: plan.further], "further measures"))
        names = [name for name in plan.methods if name in CLOSED]
        card["further"] = further.check(classifier, photos, names, plan.heads, plan.seed)
    card["rejected"] = list(source.rejected.values())
    card = json.loads(json.dumps(card), parse_float=lambda x: round(float(x), 4))
    write(out / TRUST, json.dumps(card) + "\n")
    return card


class _Photos:
    """The photos of products in a random order; those that cannot be used are listed."""

    def __init__(self, catalogue: Catalogue, products: list[Product]):
        self.catalogue, self.products = catalogue, products
        self.rejected: dict[str, str] = {}

    def usable(
        self, some: Sequence[Product], what: str = ""
    ) -> Iterator[tuple[Product, np.ndarray]]:
        """``what`` names the progress bar; '' shows none."""
        for product in ProgressBar(some, unit="photo", desc=what, disable=None if what else True):
            try:
                yield product, self.catalogue.photo(product)
            except images.ImageError as error:
                reason = f"row {product.row} (id {product.id}): {error}"
                self.rejected[product.id] = reason


def _shuffled(classifier: FashionClassifier, catalogue: Catalogue, plan: Plan) -> list[Product]:
    name, _ = bundle.known(classifier.bundle.card, Path(str(catalogue.source)).name)
    split, why_not = split_of(classifier.bundle.folder / name, catalogue.products)
    products = in_split(catalogue.products, split, plan.split)
    if not products:
        raise ValueError(
            f"{catalogue.source}: no product of the bundle's {plan.split} split. {why_not}".strip()
        )
    order = np.random.default_rng(plan.seed).permutation(len(products))
    return [products[i] for i in order]


def _figures(
    classifier: FashionClassifier,
    source: _Photos,
    products: Sequence[Product],
    plan: Plan,
    out: Path,
) -> dict[str, Any]:
    ids = {product.id for product in products}
    named = ((product.id, photo) for product, photo in source.usable(products))
    rows = benchmark(classifier, named, len(products), plan, out)
    return summarise([row for row in rows if row["id"] in ids])  # an earlier run may have had more


def _grids(
    classifier: FashionClassifier, source: _Photos, products: Sequence[Product], plan: Plan
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pairs = list(source.usable(products))
    for head in ProgressBar(plan.heads, unit="head", desc="four in one picture"):
        labelled = [(x, photo) for p, photo in pairs if (x := p.labels.get(head)) is not None]
        found[head] = pointing_game.play(
            classifier, labelled, head, plan.methods, plan.grids, plan.seed
        )
    return {"grids": plan.grids, "chance": pointing_game.CHANCE, "heads": found}


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A card with what the new one measured and what only the old one did.

    Heads and arrangements can so be measured one by one, each on as many photos as it needs. A card
    of another catalogue is kept under ``also`` and its name; one of another model or, of the same
    catalogue, of another split is replaced as a whole.
    """
    if old.get("model") != new["model"]:
        return dict(new)
    if "catalogue" in new and old.get("catalogue", new["catalogue"]) != new["catalogue"]:
        name, also = new["catalogue"], old.get("also", {})
        return {**old, "also": {**also, name: merged(also.get(name, {}), new)}}
    if old["split"] != new["split"]:
        return dict(new)
    card = {**old, **new}
    both = [old["figures"], new["figures"]]
    card["figures"] = {
        arrangement: {h: x for part in both for h, x in part.get(arrangement, {}).items()}
        for arrangement in ARRANGEMENTS
        if any(arrangement in part for part in both)
    }
    if "grid" in old and "grid" in new:
        card["grid"] = {**new["grid"], "heads": {**old["grid"]["heads"], **new["grid"]["heads"]}}
    if "sanity" in old and "sanity" in new:
        maps = {**old["sanity"]["maps"]}
        for name, heads in new["sanity"]["maps"].items():
            maps[name] = {**maps.get(name, {}), **heads}
        card["sanity"] = {**new["sanity"], "maps": maps}
    if "further" in old and "further" in new:
        card["further"] = {
            **new["further"],
            **{k: {**old["further"][k], **new["further"][k]} for k in ("maps", "operators")},
        }
    card["rejected"] = sorted({*old["rejected"], *new["rejected"]})
    return card


def benchmark(
    classifier: FashionClassifier,
    photos: Iterable[tuple[str, np.ndarray]],
    total: int,
    plan: Plan,
    out: Path,
) -> list[Row]:
    """Measure each photo in each arrangement; a row is kept as soon as it is there.

    Args:
        photos: (id, uint8 RGB) pairs.
        total: how many, for the progress bar.
        plan: whose methods, heads and arrangements.
        out: folder of ``rows.jsonl``; what it already holds of the same methods and heads is kept.

    Returns:
        The rows: id, arrangement, head → map → measure → figure.

    Raises:
        ValueError: ``out`` holds rows of other methods or heads.
    """
    settings = {"methods": list(plan.methods), "heads": list(plan.heads), "layer": classifier.layer,
                "model": classifier.bundle.card["sha256"][MODEL]}  # fmt: skip
    rows = _resume(out / ROWS, settings)
    done = {(row["id"], row["arrangement"]) for row in rows}
    with (out / ROWS).open("a", encoding="utf-8") as file:
        for identity, photo in ProgressBar(photos, total=total, unit="photo", desc="trust"):
            for arrangement in plan.arrangements:
                if (identity, arrangement) in done:
                    continue
                rng = np.random.default_rng(zlib.crc32(f"{identity} {arrangement}".encode()))
                row = {
                    "id": identity,
                    "arrangement": arrangement,
                    "figures": _measure_photo(
                        classifier, arrange(photo, arrangement, classifier.size, rng),
                        plan.methods, plan.heads, rng,
                    ),
                }  # fmt: skip
                file.write(json.dumps(row) + "\n")
                file.flush()
                rows.append(row)
    return rows


def arrange(
    photo: np.ndarray, arrangement: str, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """The photo as it is, or placed: small, anywhere on a white canvas or (every second one) on a
    piece of a photograph of a park or a flower.

    Returns:
        uint8 RGB; for ``"placed"`` of the given size.
    """
    if arrangement == "centred":
        return photo
    height = round(PLACED_HEIGHT * size[0])
    width = min(size[1], max(1, round(photo.shape[1] * height / photo.shape[0])))
    behind = np.full((*size, 3), images.WHITE, np.uint8)
    if rng.random() < 0.5:
        source = load_sample_images().images[rng.integers(2)]
        y = rng.integers(0, source.shape[0] - size[0] + 1)
        x = rng.integers(0, source.shape[1] - size[1] + 1)
        behind = source[y : y + size[0], x : x + size[1]].copy()
    top, left = rng.integers(0, size[0] - height + 1), rng.integers(0, size[1] - width + 1)
    part = behind[top : top + height, left : left + width]
    product = silhouette(photo)
    if product is None:
        part[:] = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    else:
        part[:] = set_on(photo, product, part)
    return behind


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """The card's figures.

    Returns:
        arrangement → head → ``"photos"``, how many; ``"maps"``: map → measure → mean, low, high;
        ``"advantages"``: method → control → measure → mean, low, high of the paired difference,
        positive where the method is better. Intervals: 95 %, bootstrap over photos.
    """
    card: dict[str, Any] = {}
    for arrangement in ARRANGEMENTS:
        chosen = [row["figures"] for row in rows if row["arrangement"] == arrangement]
        for head in chosen[0] if chosen else ():
            table = _table([figures[head] for figures in chosen])
            own = [name for name in table if name not in CONTROLS]
            card.setdefault(arrangement, {})[head] = {
                "photos": len(chosen),
                "maps": {
                    name: {m: mean_with_interval(x) for m, x in columns.items()}
                    for name, columns in table.items()
                },
                "advantages": {
                    name: {
                        control: {
                            m: mean_with_interval(MEASURES[m] * (x - table[control][m]))
                            for m, x in table[name].items()
                        }
                        for control in CONTROLS
                    }
                    for name in own
                },
            }
    return card


def _measure_photo(
    classifier: FashionClassifier,
    photo: np.ndarray,
    names: Sequence[str],
    heads: Sequence[str],
    rng: np.random.Generator,
) -> dict[str, dict[str, dict[str, float]]]:
    """Head → map → measure → figure."""
    (forward_pass,) = classifier.read([photo])
    found = {name: classifier.explanations(forward_pass, heads, method=name) for name in names}
    # The default map of every head costs nothing: each is a control for the others.
    cam = {h: e.heatmap for h, e in classifier.explanations(forward_pass, method=DEFAULT).items()}
    indices = {h: e.prediction.index for h, e in found[names[0]].items()}
    maps: dict[str, np.ndarray] = {
        "random": controls.random(forward_pass.features.shape[:2], rng),
        "centre": controls.centre(forward_pass.box, classifier.size),
        "edges": controls.edges(forward_pass.pixels),
    }
    others = {h: next(o for o in cam if o != h) for h in heads} if len(heads) == 1 else {}
    for h in heads:
        maps[f"softened {h}"] = controls.softened(cam[h], len(forward_pass.features))
        for name in names:
            maps[_key(name, h)] = found[name][h].heatmap
    for h in {*heads, *others.values()}:
        maps.setdefault(_key(DEFAULT, h), cam[h])
    answers = measure(_case(classifier, forward_pass, indices), maps, rng)
    figures = {}
    for h in heads:
        rivals = [others[h]] if h in others else [o for o in heads if o != h]
        figures[h] = {name: answers[_key(name, h)][h] for name in names}
        figures[h] |= {name: answers[name][h] for name in ("random", "centre", "edges")}
        figures[h]["softened"] = answers[f"softened {h}"][h]
        figures[h]["other heads"] = {
            m: float(np.mean([answers[_key(DEFAULT, o)][h][m] for o in rivals]))
            for m in figures[h]["random"]
        }
    return figures


def _key(method: str, head: str) -> str:
    """Where the map of a head is; one that knows no label is measured once for all heads."""
    return f"{method} {head}" if METHODS[method].about_the_label else method


def _case(classifier: FashionClassifier, forward_pass, indices: Mapping[str, int]) -> Case:
    def score(calibrated: bool) -> Score:
        def of(pixels: np.ndarray) -> dict[str, np.ndarray]:
            _, logits = classifier.network.forward(pixels)
            return {
                h: (softmax(logits[h], classifier.decoder.temperatures[h]) if calibrated
                    else logits[h])[:, index]
                for h, index in indices.items()
            }  # fmt: skip

        return of

    return Case(
        forward_pass.pixels,
        forward_pass.box,
        silhouette(forward_pass.pixels),
        score(True),
        score(False),
    )


def _table(
    figures: Sequence[Mapping[str, Mapping[str, float]]],
) -> dict[str, dict[str, np.ndarray]]:
    """Map → measure → (photos,), of the measures that every photo has or NaN where it has not."""
    return {
        name: {
            m: np.array([f[name].get(m, np.nan) for f in figures])
            for m in MEASURES
            if any(m in f[name] for f in figures)
        }
        for name in figures[0]
    }


def _resume(path: Path, settings: Mapping[str, Any]) -> list[Row]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write(path, json.dumps(settings) + "\n")
        return []
    first, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    if not first or json.loads(first) != settings:
        raise ValueError(
            f"{path}: expected rows of {json.dumps(settings)}. Received: {first or 'nothing'}. "
            "Give another --out, or remove the file."
        )
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:  # a kill in the middle of the last line
            break
    write(path, "\n".join([first, *(json.dumps(row) for row in rows)]) + "\n")
    return rows
