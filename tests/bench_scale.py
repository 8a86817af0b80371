"""The report of an audit of millions of products: seconds and memory, on a table made from the
shipped audit's rows.

    make bench-scale ROWS=10000000

Each product gets another id, another picture (one in fifty shares it with another product) and
probabilities off by up to .02, so that ranks are not decided by ties. Maps are those of the shipped
rows; right answers of five in six blocks have none, which spares disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fashion_xai import FashionClassifier
from fashion_xai.audit import engine, report
from fashion_xai.audit.results import SHIPPED, Audit
from fashion_xai.engines.work import NOTE, PROBLEM, ROW

GROUP = 512
"""Rows of a row group, as a run writes them."""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path("runs/bench-scale"))
    return parser


def make(out: Path, rows: int) -> None:
    """A large audit's folder."""
    folder = out / engine.PRODUCTS
    shutil.rmtree(out, ignore_errors=True)
    folder.mkdir(parents=True)
    base = pq.read_table(SHIPPED / engine.PRODUCTS)
    maps = [n for n in base.column_names if n.endswith(("_map", "_difference"))]
    bare = base
    for name in maps:
        place = bare.schema.get_field_index(name)
        bare = bare.set_column(place, bare.schema.field(name), pa.nulls(len(base), bare[name].type))
    rng = np.random.default_rng(0)
    for number, start in enumerate(range(0, rows, len(base))):
        table = base if number % 6 == 0 else bare
        table = table.slice(0, min(len(base), rows - start))
        ids = np.arange(start, start + len(table))
        prints = np.where(rng.random(len(ids)) < 0.02, ids // 2, ids + 10 * rows).astype(np.uint64)
        changed = {"id": pa.array(ids.astype(str)), "fingerprint": pa.array(prints)}
        for name in table.column_names:
            if name.endswith(("_probability", "_quality")):
                values = table[name].to_numpy(zero_copy_only=False).copy()
                values = np.clip(values + rng.uniform(-0.02, 0.02, len(values)), 0, 1)
                changed[name] = pa.array(values.astype(np.float32), from_pandas=True)
        for name, values in changed.items():
            table = table.set_column(table.schema.get_field_index(name), name, values)
        nulls = pa.nulls(len(table), pa.string())
        for name, values in ((ROW, pa.array(ids)), (PROBLEM, nulls), (NOTE, nulls)):
            table = table.append_column(name, values)
        file = folder / f"{number:06}.parquet"
        pq.write_table(table, file, compression="zstd", row_group_size=GROUP)
    summary = json.loads((SHIPPED / engine.SUMMARY).read_text(encoding="utf-8"))
    summary |= {"audited": rows, "products": rows, engine.INPUTS: "made"}
    (out / engine.SUMMARY).write_text(json.dumps(summary), encoding="utf-8")


def main() -> None:
    args = parser().parse_args()
    started = time.perf_counter()
    if not (args.out / engine.SUMMARY).exists():
        make(args.out, args.rows)
        print(f"made in {time.perf_counter() - started:.0f} s")
    size = sum(f.stat().st_size for f in (args.out / engine.PRODUCTS).iterdir())
    classifier = FashionClassifier.load()
    for name in ("digest.json", "audit.html"):
        (args.out / name).unlink(missing_ok=True)
    started = time.perf_counter()
    opened = Audit(args.out)
    opened_in = time.perf_counter() - started
    report.write(opened, args.out, classifier.bundle.card, classifier.bundle.trust)
    spent = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    page = (args.out / "audit.html").stat().st_size
    print(
        f"{opened.store.count:,} products, {size / 1e9:.1f} GB: report in {spent:.0f} s (digest "
        f"{opened_in:.0f} s), at most {peak:.2f} GB of memory, page {page / 1e6:.1f} MB, "
        f"{len(opened.table):,} products kept to look at"
    )


if __name__ == "__main__":
    main()
