"""Bundles on the Hugging Face Hub: loaded from there, and shared there with a model card.

Only files that nothing executes travel: ONNX, Keras without code of its own, JSON and CSV; what
came is held to the hashes of the bundle's card like any other bundle.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fashion_xai.models import bundle
from fashion_xai.models.bundle import BundleError

SCHEME = "hf://"
README = "README.md"
FILES = ("*.onnx", "*.keras", "*.json", "*.csv", "*.npz", README)
"""What travels."""

DATASET = "Fashion Product Images"
"""Of a bundle whose table is that dataset's."""

_ADDRESS = re.compile(r"(?:hf://)?(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w./-]+))?/?")


def is_address(path: object) -> bool:
    """Whether it names a repository of the Hub: ``hf://owner/name``, ``hf://owner/name@v1``."""
    return isinstance(path, str) and path.startswith(SCHEME)


def download(
    address: str,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    token: str | bool | None = None,
) -> Path:
    """A bundle of the Hub, in the Hub's cache on this machine.

    ``HF_HUB_OFFLINE``, ``HF_HOME``, ``HF_TOKEN`` and ``HF_ENDPOINT`` say what they say everywhere.

    Args:
        address: ``hf://owner/name[@revision]``, or without ``hf://``.
        revision: a branch, a tag or a commit; that of the address if None, else the main branch.
        cache_dir, local_files_only, force_download, token: of ``huggingface_hub``.

    Raises:
        BundleError: no such repository or revision, or no network; a sentence.
    """
    repo, named = parsed(address)
    hub = _hub()
    with _told(repo, revision or named):
        folder = hub.snapshot_download(
            repo,
            revision=revision or named,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            force_download=force_download,
            token=token,
            allow_patterns=list(FILES),
            library_name="fashion_xai",
        )
    return Path(folder)


def push(
    folder: Path,
    repo: str,
    private: bool | None = None,
    token: str | bool | None = None,
    branch: str | None = None,
    message: str = "Share a fashion_xai bundle",
) -> str:
    """Share a bundle on the Hub; the repository is made where it is not there.

    Args:
        folder: the bundle.
        repo: ``owner/name``.
        private: as of a new repository; None for the account's usual.
        token: None for the one that ``hf auth login`` or ``HF_TOKEN`` gave.
        branch: to put it on, made where it is not there; None for the main one.
        message: of the commit.

    Returns:
        The commit's address.

    Raises:
        BundleError: no usable bundle, no right to write there, or no network.
    """
    repo, _ = parsed(repo)
    hub = _hub()
    with tempfile.TemporaryDirectory() as staged, _told(repo, branch):
        save(folder, Path(staged), repo)
        api = hub.HfApi(token=token)
        api.create_repo(repo, private=private, exist_ok=True)
        if branch:
            api.create_branch(repo, branch=branch, exist_ok=True)
        made = api.upload_folder(
            repo_id=repo,
            folder_path=staged,
            revision=branch,
            commit_message=message,
            allow_patterns=list(FILES),
        )
    return str(made.commit_url)


def save(folder: Path, to: Path, repo: str = "owner/name") -> None:
    """A bundle's copy with the Hub's model card, as it is shared in a repository.

    Raises:
        BundleError: no usable bundle.
    """
    loaded = bundle.load(folder)
    _refuse_code(loaded.folder / bundle.MODEL)
    to.mkdir(parents=True, exist_ok=True)
    for name in (*loaded.card["sha256"], bundle.CARD, bundle.TRUST):
        if (loaded.folder / name).is_file():
            shutil.copyfile(loaded.folder / name, to / name)
    (to / README).write_text(model_card(loaded.card, repo), encoding="utf-8")


def _refuse_code(file: Path) -> None:
    """
    Raises:
        BundleError: the Keras file has a layer that is not Keras' own, such as a Lambda.
    """

    def strange(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            module = part.get("module")
            if part.get("class_name") == "Lambda" or (
                isinstance(module, str) and not module.startswith(("keras", "builtins"))
            ):
                yield str(part.get("class_name"))
            part = list(part.values())
        for each in part if isinstance(part, list) else ():
            yield from strange(each)

    with zipfile.ZipFile(file) as archive:
        found = sorted(set(strange(json.loads(archive.read("config.json")))))
    if found:
        raise BundleError(
            f"{file}: expected Keras' own layers, which nobody has to trust. "
            f"Received: {', '.join(found)}"
        )


def parsed(address: str) -> tuple[str, str | None]:
    """``hf://owner/name@revision`` → ("owner/name", "revision").

    Raises:
        BundleError: it names no repository.
    """
    found = _ADDRESS.fullmatch(address)
    if not found:
        raise BundleError(
            f"Expected a repository of the Hub, such as hf://owner/name or hf://owner/name@v1.0. "
            f"Received: {address!r}"
        )
    return found["repo"], found["revision"]


def model_card(card: Mapping[str, Any], repo: str) -> str:
    """The Hub's README.md of a bundle: front matter with every metric, and how it is used.

    Args:
        card: of the bundle.
        repo: that it is in, ``owner/name``.
    """
    hub = _hub()
    usual = card.get("table", {}).get("file") == "styles.csv"
    also = [a.get("name", "") for a in card.get("also", [])]
    data = hub.ModelCardData(
        license="apache-2.0",
        library_name="fashion-xai",
        pipeline_tag="image-classification",
        tags=["fashion", "explainability", "grad-cam", "multi-label", "onnx", "keras"],
        datasets=["ashraq/fashion-product-images-small"] if usual else None,
        model_name="fashion_xai",
        eval_results=list(_results(hub, card, DATASET if usual else "a catalogue")) or None,
    )
    names = list(card.get("table", {}).get("columns", {}))
    height, width = card["input_size"]
    lines = [
        "---", data.to_yaml(), "---", "", "# fashion_xai bundle", "",
        "An EfficientNetB0 with a head for each of " + ", ".join(f"`{n}`" for n in names)
        + f", for photos of {height}×{width} pixels, whose answers are explained exactly: every "
        "head is one dense layer on pooled features, so that a Grad-CAM map sums to the logit.", "",
        "```python", "from fashion_xai import FashionClassifier", "",
        f'classifier = FashionClassifier.load("hf://{repo}")', "```", "",
        "| head | accuracy % (95 %) | macro-F1 | ECE | products |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for split, head, figures in _figures(card):
        low, high = figures.get("accuracy_interval", (None, None))
        interval = "" if low is None else f" ({100 * low:.1f}–{100 * high:.1f})"
        lines.append(
            f"| {head} ({split}) | {100 * figures['accuracy']:.1f}{interval} | "
            f"{figures['macro_f1']:.3f} | {figures['ece']:.3f} | {figures['products']:,} |"
        )
    split = card.get("split", {})
    counts = ", ".join(f"{n:,} {s}" for s, n in split.items() if isinstance(n, int))
    lines += ["", f"Split: {counts or 'not kept'}."]
    if also:
        lines.append(f"Trained on {', '.join(also)} too.")
    lines += [
        "", "The weights are under the licence above; the photos that they were trained on are not "
        "part of it. `card.json` holds all figures, `trust.json` how faithful the maps are.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _figures(card: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(split, head, figures) of each that was measured."""
    for split, measured in card.get("metrics", {}).items():
        for head, figures in measured.get("heads", {}).items():
            if {"accuracy", "macro_f1", "ece", "products"} <= set(figures):
                yield split, head, figures


def _results(hub: Any, card: Mapping[str, Any], dataset: str) -> Iterator[Any]:
    """Every number of every head and split, as the Hub's EvalResult."""
    for split, head, figures in _figures(card):
        for name, value in figures.items():
            if isinstance(value, float):
                yield hub.EvalResult(
                    task_type="image-classification",
                    task_name=head,
                    dataset_type="fashion-product-images",
                    dataset_name=dataset,
                    dataset_split=split,
                    metric_type=name,
                    metric_name=f"{head} {name}",
                    metric_value=round(value, 5),
                )


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise BundleError(
            'The Hub needs: pip install "fashion-xai[hub]", or download the files into a folder.'
        ) from None
    return huggingface_hub


@contextmanager
def _told(repo: str, revision: str | None) -> Iterator[None]:
    """What the Hub raises, as a sentence."""
    from huggingface_hub import errors

    at = f"{repo}@{revision}" if revision else repo
    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise BundleError(f"hf://{at}: the Hub has no such revision of {repo}.") from error
    except errors.GatedRepoError as error:
        raise BundleError(f"hf://{at}: its owner must let you in; ask on its page.") from error
    except errors.RepositoryNotFoundError as error:
        raise BundleError(
            f"hf://{at}: the Hub has no such repository, or it is private: hf auth login."
        ) from error
    except errors.HFValidationError as error:
        raise BundleError(f"hf://{at}: no name of a repository ({error}).") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise BundleError(
            f"hf://{at}: the Hub is not reached, or HF_HUB_OFFLINE is set, and this machine's "
            "cache does not have it."
        ) from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no answer")
        why = "no right to write there" if status in (401, 403) else f"status {status}"
        raise BundleError(f"hf://{at}: the Hub refuses ({why}).") from error
    except (OSError, errors.HTTPError) as error:  # of whichever client it has
        raise BundleError(f"hf://{at}: the Hub is not reached ({error}).") from error
