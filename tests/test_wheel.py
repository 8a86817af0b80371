"""The wheel holds every wing and the bundle: what pip installs explains a photo."""

import os
import shutil
import subprocess
import sys

import cv2

from tests import garments
from tests.conftest import ROOT


def test_the_wheel_explains_a_photo(tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    source = tmp_path / "source"  # a build leaves folders behind, which the next one would read
    shutil.copytree(ROOT / "fashion_xai", source / "fashion_xai")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    # Beside what is installed already, but before the checkout and its editable install.
    place = tmp_path / "installed"
    subprocess.run([*pip, "install", "--no-deps", "--target", place, wheel], check=True)
    for pattern in ("*.py", "*.html", "*.css", "py.typed", "*.keras", "*.parquet"):
        built, here = (
            {p.relative_to(root).as_posix() for p in (root / "fashion_xai").rglob(pattern)}
            for root in (place, ROOT)
        )
        assert built == here and built

    photo = tmp_path / "shirt.png"
    cv2.imwrite(str(photo), cv2.cvtColor(garments.draw("shirt", "Navy Blue"), cv2.COLOR_RGB2BGR))
    env = {**os.environ, "PYTHONPATH": str(place)}
    where = [sys.executable, "-c", "import fashion_xai; print(fashion_xai.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert found.stdout.startswith(str(place))
    command = [sys.executable, "-m", "fashion_xai", "explain", "shirt.png", "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "6 maps of 1 photos" in done.stdout
    assert (tmp_path / "out" / "shirt.articleType.png").stat().st_size > 0
