"""Assemble a Hugging Face Space: ``python -m demo.space OUT``. The folder is complete as it is.

Only what git tracks is taken, so that nothing private travels by accident.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TAKEN = ("demo", "fashion_xai", "LICENSE", "NOTICE", "SECURITY.md")
LFS = "filter=lfs diff=lfs merge=lfs -text"
LARGE = "".join(f"*.{kind} {LFS}\n" for kind in ("keras", "onnx", "parquet"))
"""What git-lfs keeps: a Space refuses larger files in plain git."""


def assemble(out: Path) -> None:
    """Write the Space's folder.

    Raises:
        FileExistsError: ``out`` holds something already.
        OSError: git cannot tell which files are the project's.
    """
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out}: expected an empty or a new folder.")
    out.mkdir(parents=True, exist_ok=True)
    for name in tracked():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    shutil.move(out / "demo" / "README.md", out / "README.md")
    (out / "requirements.txt").write_text("\n".join(requirements()) + "\n", encoding="utf-8")
    (out / ".gitattributes").write_text(LARGE, encoding="utf-8")


def tracked() -> list[str]:
    """The project's files that a Space needs."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "--", *TAKEN], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise OSError(f"{ROOT}: expected a git checkout with git installed ({error}).") from error
    return done.stdout.splitlines()


def requirements() -> list[str]:
    """What library and demo need, Gradio as the front matter pins it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    front = (ROOT / "demo" / "README.md").read_text(encoding="utf-8")
    version = re.search(r"^sdk_version: (\S+)$", front, re.MULTILINE)[1]  # type: ignore[index]
    demo = [x for x in project["optional-dependencies"]["demo"] if not x.startswith("gradio")]
    return [*project["dependencies"], *demo, f"gradio=={version}"]


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use."""
    parser = argparse.ArgumentParser(prog="python -m demo.space", description=__doc__)
    parser.add_argument("out", type=Path, help="a new or empty folder")
    args = parser.parse_args(argv)
    try:
        assemble(args.out)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in args.out.rglob("*") if file.is_file())
    print(f"{args.out}: a complete Space, {size / 1e6:.0f} MB. Push it with git-lfs installed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
