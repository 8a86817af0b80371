"""What several tests share: a drawn catalogue, a small bundle, the shipped one, the real data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest
from filelock import FileLock

from examples import garments
from fashion_xai import FashionClassifier
from fashion_xai.audit import engine
from fashion_xai.data.catalogue import Catalogue
from fashion_xai.data.labels import Taxonomy, Vocabulary
from fashion_xai.data.split import write_split
from fashion_xai.models import bundle
from tests.server import ROOT, running

REAL_ZIP = "fashion-product-images-small.zip"
SLOW = (
    "test_train",
    "test_devices",
    "test_transfer",
    "test_fresh_environment",
    "test_tune",
    "test_ablate",
)
"""Files of over a minute, the longest first: so that no worker ends alone with one of them."""


def pytest_collection_modifyitems(items):
    order = {name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: order.get(item.path.stem, len(SLOW)))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """A folder with 24 drawn products, as Kaggle unpacks them."""
    return garments.write_catalogue(tmp_path_factory.mktemp("drawn") / "catalogue")


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory, worker_id, drawn) -> Path:
    """A bundle with random weights and the drawn catalogue's labels, input 96×64."""
    base = tmp_path_factory.getbasetemp()
    folder = base if worker_id == "master" else base.parent  # made once for all workers
    with FileLock(folder / "small.lock"):
        if not (folder / "small").exists():
            _write_small(folder / "small", drawn)
    return folder / "small"


def _write_small(folder: Path, drawn: Path) -> None:
    import keras  # the only one that needs it before a test asks for Keras itself

    from fashion_xai.models.efficientnet import build_model, cam_layer
    from training.engine.onnx_graph import to_onnx

    keras.utils.set_random_seed(3)
    products = Catalogue(drawn).products
    vocabulary = Vocabulary.fit(p.labels for p in products)
    split = folder.with_suffix(".csv")
    write_split(split, {p.id: "test" for p in products})
    model = build_model(vocabulary.sizes, (96, 64))
    bundle.save(
        folder,
        model,
        vocabulary,
        Taxonomy.fit(p.labels for p in products),
        {"cam_layer": cam_layer(), "input_size": [96, 64], "metrics": {}},
        split,
        graph=to_onnx(model),
    )


@pytest.fixture(scope="session")
def small(small_bundle) -> FashionClassifier:
    """The small bundle, loaded once."""
    return FashionClassifier.load(small_bundle)


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """A demo with the bundle that ships, for tests that leave nothing behind."""
    with running() as address:
        yield address


@pytest.fixture(scope="session")
def small_url(small_bundle) -> Iterator[str]:
    """The same with the small bundle."""
    with running("--bundle", str(small_bundle)) as address:
        yield address


@pytest.fixture(scope="session")
def drawn_audit(drawn, small_bundle, tmp_path_factory) -> Path:
    """The small bundle's audit of the drawn catalogue; copied by whoever changes it."""
    out = tmp_path_factory.mktemp("audit")
    engine.run(FashionClassifier.load(small_bundle), Catalogue(drawn), out)
    return out


@pytest.fixture(scope="session")
def doubtful_bundle(tmp_path_factory, small_bundle) -> Path:
    """The small bundle with an OOD threshold that no photo reaches."""
    folder = shutil.copytree(small_bundle, tmp_path_factory.mktemp("doubtful") / "bundle")
    bundle.update_card(folder, abstention={"threshold": 1e9})
    return folder


@pytest.fixture(scope="session")
def shipped() -> FashionClassifier:
    """The bundle that ships."""
    return FashionClassifier.load()


@pytest.fixture(scope="session")
def real_catalogue() -> Path:
    """The real catalogue, which does not travel with the project."""
    named = os.environ.get("FASHION_DATA")
    path = Path(named) if named else ROOT.parent / "shared" / "data" / REAL_ZIP
    if path.is_dir() and (path / REAL_ZIP).exists():
        path = path / REAL_ZIP
    if not path.exists():
        pytest.skip("needs the real catalogue: set FASHION_DATA to its folder or zip")
    return path


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with playwright.sync_playwright() as p:
        if found is None and not Path(p.chromium.executable_path).exists():
            if os.environ.get("CI"):
                pytest.fail("no Chromium: .ci/run installs it")
            pytest.skip("needs Chromium: apt install chromium, or playwright install chromium")
        running = p.chromium.launch(executable_path=found, args=FLAGS)
        yield running
        running.close()
