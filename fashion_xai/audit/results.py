"""A finished audit, opened: its table, its maps, and its photos where there are some."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cached_property
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fashion_xai.audit import label_issues
from fashion_xai.audit.digest import Digest, digest
from fashion_xai.audit.engine import INPUTS, PRODUCTS, SUMMARY, WHOLE, read_summary
from fashion_xai.audit.store import Store
from fashion_xai.data import files
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.images import ImageError
from fashion_xai.data.labels import Taxonomy, Vocabulary

SHIPPED = Path(str(resources.files("fashion_xai"))) / "assets" / "audit"
DIGEST = "digest.json"
MAPS = ("map", "true_map", "difference")
COLUMNS = ("true", "predicted", "probability", "true_probability", "quality")
NEEDED = ("labels", "taxonomy", "audited", "input_size", "map_shape")
"""What :class:`Audit` takes from the summary, and of each head from the table."""


class Audit:
    """An audit as :func:`fashion_xai.audit.engine.run` left it.

    Args:
        folder: of the audit; None for the one that ships: the shipped model on its test split.
        catalogue: where the photos are; None shows maps without photos.

    Raises:
        ValueError: not an audit, or of another format.
    """

    def __init__(self, folder: str | PathLike | None = None, catalogue: Catalogue | None = None):
        self.folder = SHIPPED if folder is None else Path(folder)
        self.summary = read_summary(self.folder)
        file = self.folder / PRODUCTS
        if not file.exists():
            raise ValueError(f"{self.folder}: no {PRODUCTS}. Expected the folder of an audit.")
        lacking = [x for x in NEEDED if x not in self.summary]
        if lacking:
            raise ValueError(f"{self.folder / SUMMARY}: expected {', '.join(lacking)} too.")
        try:
            self.vocabulary = Vocabulary.from_json(self.summary["labels"])
            self.taxonomy = Taxonomy.from_json(self.summary["taxonomy"])
            self.store = Store(file)
        except (ValueError, OSError) as error:  # ArrowInvalid is a ValueError
            raise ValueError(f"{self.folder}: no readable audit ({error}).") from error
        wanted = ["id", "title", "embedding"]
        wanted += [f"{h}_{x}" for h in self.heads for x in (*COLUMNS, *MAPS)]
        names = self.store.names
        if absent := [x for x in wanted if x not in names]:
            raise ValueError(
                f"{file}: no column {', '.join(absent[:6])}. Expected those of an audit."
            )
        maps = {f"{h}_{m}" for h in self.heads for m in MAPS} | {"embedding"}
        self.whole = self.store.count <= WHOLE
        """Whether the table holds all products, or those that are worth a look."""
        rows = np.arange(self.store.count) if self.whole else self.digest.rows
        table = self.store.take(rows)
        self._arrays = table.select([n for n in table.column_names if n in maps])
        self.table: pd.DataFrame = table.drop_columns(sorted(maps & {*names})).to_pandas()
        self.row = {identity: i for i, identity in enumerate(self.table["id"])}
        """Id → position in the table."""
        self._catalogue = catalogue
        self._products = {} if catalogue is None else {p.id: p for p in catalogue.products}

    @property
    def heads(self) -> tuple[str, ...]:
        return self.vocabulary.attributes

    @property
    def has_photos(self) -> bool:
        return self._catalogue is not None

    def photo(self, identity: str) -> np.ndarray | None:
        """uint8 RGB, or None where the product's photo is not at hand or cannot be read."""
        product = self._products.get(identity)
        if product is None or self._catalogue is None:
            return None
        try:
            return self._catalogue.photo(product)
        except ImageError:
            return None

    def map(self, identity: str, head: str, kind: str = "map") -> np.ndarray | None:
        """A raw map, float32 (h, w): "map" of the prediction, and where it is wrong "true_map" of
        the true label and the "difference" (true rather than predicted); else None."""
        cells = self._arrays[f"{head}_{kind}"][self.row[identity]].as_py()
        if cells is None:
            return None
        return np.array(cells, np.float32).reshape(self.summary["map_shape"])

    def mean_map(self, identities: list[str], head: str, kind: str) -> np.ndarray | None:
        """The mean of several products' maps; None where none of them has one."""
        found = [m for i in identities if (m := self.map(i, head, kind)) is not None]
        return np.mean(found, 0) if found else None

    @cached_property
    def embeddings(self) -> np.ndarray:
        """float32 (n, numbers): products that look alike to the network are near each other."""
        column = self._arrays["embedding"].combine_chunks()
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        return flat.reshape(len(column), -1)

    @cached_property
    def digest(self) -> Digest:
        """The counts of all products; of a large audit they are kept beside its table."""
        if self.store.count <= WHOLE:
            return digest(self.store, self.heads, self.taxonomy)
        of = {name: self.summary[name] for name in ("model", "audited", INPUTS)}
        file = self.folder / DIGEST
        with suppress(FileNotFoundError):
            kept = files.read_json(file)
            if kept["of"] == of:
                return Digest.from_json(kept["digest"])
        made = digest(self.store, self.heads, self.taxonomy)
        with suppress(OSError):  # a folder that may only be read
            files.write(file, json.dumps({"of": of, "digest": made.to_json()}))
        return made

    @cached_property
    def label_issues(self) -> pd.DataFrame:
        """The ranked list of :func:`fashion_xai.audit.label_issues.rank`, over all heads; of a
        large audit its first :data:`fashion_xai.audit.digest.ISSUES` lines."""
        if not self.whole:
            return self.digest.issues
        table = self.table.assign(embedding=list(self.embeddings))
        return label_issues.rank(table, self.heads, self.taxonomy)

    def value(self, identity: str, column: str) -> Any:
        """One cell of the table; None where it is empty."""
        value = self.table[column].iloc[self.row[identity]]
        if isinstance(value, list | np.ndarray):
            return list(value)
        return None if pd.isna(value) else value
