"""What the docs site has beside docs/: pages of the project's root, files that pages link to, and
pictures, drawn by the library when the site is built."""

from __future__ import annotations

import io
import re
from pathlib import Path

import matplotlib.pyplot as plt
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]

PAGES = {
    "README.md": "readme.md",
    "MODEL_CARD.md": "model-card.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""Pages of the root → what they are on the site."""

LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)")
PHOTO = "demo/examples/pink-dress.png"


def on_files(files, config):
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_moved(text, Path(name), Path(page))))
    for name in ("demo/screenshot.png", "demo/gallery.png"):
        files.append(File.generated(config, f"files/{name}", abs_src_path=str(ROOT / name)))
    for name, data in _pictures().items():
        files.append(File.generated(config, f"pictures/{name}", content=data))
    return files


def on_page_markdown(markdown, page, config, files):
    source = Path("docs", page.file.src_uri)
    return markdown if page.file.generated_by else _moved(markdown, source, Path(page.file.src_uri))


def _moved(text: str, source: Path, page: Path) -> str:
    """A page's links to files outside docs/, as the site has them."""

    def link(found: re.Match) -> str:
        target, anchor = found[1], found[2] or ""
        place = (ROOT / source.parent / target).resolve()
        try:
            inside = place.relative_to(ROOT).as_posix()
        except ValueError:
            return found[0]
        up = "../" * (len(page.parts) - 1)
        if inside in PAGES:
            return f"]({up}{PAGES[inside]}{anchor})"
        if inside.startswith("docs/"):
            return f"]({up}{inside.removeprefix('docs/')}{anchor})"
        if inside.endswith(".png"):
            return f"]({up}files/{inside})"
        return f"](https://github.com/fashion-xai/fashion_xai/blob/main/{inside}{anchor})"

    return LINK.sub(link, text)


def _pictures() -> dict[str, bytes]:
    """Drawn by the library, of a drawn photo, with the bundle that ships."""
    from fashion_xai import FashionClassifier
    from fashion_xai.data import images
    from fashion_xai.viz import contact_sheet, overlay

    classifier = FashionClassifier.load()
    photo = images.load(ROOT / PHOTO)
    maps = classifier.explain(photo)
    figure = contact_sheet.draw(photo, list(maps.values()), classifier.size)
    sheet = _png(figure)
    best = maps["articleType"]
    drawn = overlay.blend(photo, best.heatmap, best.box, classifier.size)
    figure, axes = plt.subplots(1, 2, figsize=(5, 3.4), layout="constrained")
    for axis, picture, title in zip(
        axes, (photo, drawn), ("a photo", best.prediction.label), strict=True
    ):
        axis.imshow(picture)
        axis.set_title(title)
        axis.axis("off")
    return {"maps.png": sheet, "dress.png": _png(figure)}


def _png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return buffer.getvalue()
