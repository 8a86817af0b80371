"""The engine of a Ray cluster: the local one's rows on two simulated nodes, whatever is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import jsonschema
import psutil
import pyarrow.parquet as pq
import pytest
import yaml
from packaging.specifiers import SpecifierSet

from fashion_xai import batch_prediction
from fashion_xai.__main__ import main, parse
from fashion_xai.audit import engine
from fashion_xai.batch_prediction import Threshold
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.schema import Table
from fashion_xai.engines import parts
from fashion_xai.engines.run import Cluster
from tests.conftest import ROOT
from tests.engines.tables import assert_same_rows
from tests.field.shops import rows_of, shop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def many(drawn, tmp_path_factory):
    """720 products, two of them without a photo that can be read."""
    header, rows = rows_of(drawn)
    every = [[f"{r[0]}-{n:02}", *r[1:], r[0]] for n in range(30) for r in rows]
    every[40][-1], every[400][-1] = "bad", "none"
    data = shop(drawn, tmp_path_factory.mktemp("many") / "shop", [*header, "where"], every)
    (data / "images" / "bad.jpg").write_bytes(b"no photo")
    return Catalogue(data, table=Table(photo="where"))


@pytest.fixture
def nodes():
    """A cluster of two simulated nodes of one core each, and the second of them."""
    import ray
    from ray.cluster_utils import Cluster as Simulated

    simulated = Simulated(initialize_head=True, head_node_args={"num_cpus": 1})
    second = simulated.add_node(num_cpus=1)
    yield simulated, second
    ray.shutdown()
    simulated.shutdown()


def workers() -> list[psutil.Process]:
    """The processes of our actors."""
    return [p for p in psutil.process_iter() if "_Actor" in p.name() or _is_actor(p)]


def _is_actor(process: psutil.Process) -> bool:
    try:
        return "ray::MapWorker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def test_killed_actors_and_lost_nodes_cost_no_product(many, small, nodes, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "CHUNK", 8)
    monkeypatch.setattr(small, "batch_size", 8)
    simulated, second = nodes
    out, result = tmp_path / "ray", {}

    def audit():
        result.update(engine.run(small, many, out, cluster=Cluster(simulated.address)))

    def finished() -> int:
        return len(list((out / engine.PARTS).glob("0*.parquet")))

    def until(count: int) -> None:
        deadline = time.monotonic() + 240
        while finished() < count and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert thread.is_alive() and count <= finished() < 60, finished()

    thread = threading.Thread(target=audit)
    thread.start()
    until(3)
    os.kill(workers()[0].pid, signal.SIGKILL)
    until(12)
    simulated.remove_node(second, allow_graceful=False)
    thread.join(400)
    assert (result["audited"], result["rejected"]) == (718, 2)
    engine.run(small, many, tmp_path / "local")
    assert_same_rows(out, tmp_path / "local")
    for name in (engine.REJECTED,):
        assert (out / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


def test_a_killed_driver_goes_on_and_repeats_the_unfinished_chunks_only(
    many, small_bundle, tmp_path, capsys
):
    out = tmp_path / "audit"
    arguments = [sys.executable, "-m", "tests.small_chunks", "audit", "--data", str(many.source),
                 "--photo-column", "where", "--bundle", str(small_bundle), "--out", str(out),
                 "--engine", "ray", "--no-report", "-q"]  # fmt: skip
    process = subprocess.Popen(arguments, cwd=ROOT)
    folder = out / engine.PARTS
    while len(list(folder.glob("0*.parquet"))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = sorted(folder.glob("0*.parquet"))
    assert 3 <= len(kept) < 90 and not (out / engine.SUMMARY).exists()
    marked = []
    for file in kept:  # to be known again
        table = pq.read_table(file)
        titles = [f"kept {title}" for title in table["title"].to_pylist()]
        place = table.column_names.index("title")
        pq.write_table(table.set_column(place, "title", [titles]), file)
        marked += table["id"].to_pylist()
    again = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert again.returncode == 0 and "starts anew" not in again.stdout, again.stderr
    rows = pq.read_table(out / engine.PRODUCTS, columns=["id", "title"]).to_pylist()
    assert [row["id"] for row in rows] == [p.id for p in many.products if p.id not in bad(many)]
    assert {r["id"] for r in rows if r["title"].startswith("kept ")} == {*marked} - bad(many)
    assert "Traceback" not in again.stderr


def bad(catalogue: Catalogue) -> set[str]:
    return {
        p.id for p in catalogue.products if catalogue.photos.places[p.id][1].endswith("bad.jpg")
    }


def test_a_batch_prediction_has_the_same_rows_and_either_engine_goes_on(many, small, tmp_path):
    sure = {"articleType": Threshold(0.3, 0.5)}
    found = []
    for cluster in (None, Cluster(actors=1)):
        out = tmp_path / f"{len(found)}.parquet"
        batch_prediction.run(small, many, out, sure, cluster)
        found.append(pq.read_table(out))
    assert found[0].num_rows == 720 and found[0].schema.equals(found[1].schema)
    for name in ("id", "row", "problem", "articleType", "gender", "articleType_review"):
        assert found[0][name].to_pylist() == found[1][name].to_pylist(), name


def test_wrong_use_is_answered_in_a_sentence(drawn, small_bundle, tmp_path, capsys, monkeypatch):
    audit = ["audit", "--data", str(drawn), "--bundle", str(small_bundle), "--out", str(tmp_path)]
    assert main([*audit, "--actors", "2"]) == 1
    assert "--actors: only with --engine ray" in capsys.readouterr().err
    assert main([*audit, "--engine", "ray", "--address", "127.0.0.1:1"]) == 1
    assert "--address 127.0.0.1:1: no Ray cluster is reached" in capsys.readouterr().err
    assert main([*audit, "--engine", "ray", "--gpus", "1"]) == 1
    assert "--gpus 1: this machine has 0 for Ray" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*audit, "--engine", "ray"]) == 1
    assert 'pip install "fashion-xai[ray]"' in capsys.readouterr().err


def test_the_cluster_files_are_what_ray_and_this_project_expect():
    import ray

    folder = ROOT / "examples" / "cluster"
    aws, job = (yaml.safe_load((folder / f).read_text(encoding="utf-8"))
                for f in ("aws.yaml", "kuberay.yaml"))  # fmt: skip
    rules = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_bytes())
    jsonschema.validate(aws, rules)
    (version,) = re.findall(r"rayproject/ray:([\d.]+)-py", aws["docker"]["image"])
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == version
    assert f"ray:{version}-py" in (folder / "Dockerfile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (line,) = project["optional-dependencies"]["ray"]
    assert SpecifierSet(line.partition("]")[2]).contains(version)
    words = job["spec"]["entrypoint"].split()
    assert words.pop(0) == "fashion-xai"
    assert parse(words).engine == "ray"  # its flags are there


def test_nothing_of_ray_is_imported_unless_it_is_asked_for(drawn, small_bundle, tmp_path):
    code = (
        "import sys; from fashion_xai.__main__ import main; main(sys.argv[1:]); "
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('ray', 's3fs', 'tenacity')))"
    )
    audit = ["audit", "--data", drawn, "--bundle", small_bundle, "--out", tmp_path, "-q"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, audit)], cwd=ROOT,
                          capture_output=True, text=True, timeout=200)  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
