"""Assemble a Hugging Face Space: ``make space``. The folder is complete as it is.

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
CHECKS = """
Before it is public:
 [ ] python demo/app.py, in that folder: the page opens, a photo of yours is answered
 [ ] upload: hf repos create OWNER/NAME --type space --sdk gradio
             hf upload OWNER/NAME {out} --type space   (or git, with git-lfs installed)
 [ ] hardware: CPU basic (2 cores, 16 GB) is enough; no GPU, no ZeroGPU, no disk to rent
 [ ] secrets: none are needed; FASHION_AUTH=user:password, as a secret, asks for a log-in
 [ ] variables: FASHION_BUNDLE=hf://owner/name serves a bundle of yours (HF_TOKEN, as a secret, for
             a private one); none else are needed
 [ ] sleep: on CPU basic a Space that nobody opens for two days sleeps, and wakes with the next
             visitor; paid hardware sleeps when its settings say so
 [ ] afterwards: https://OWNER-NAME.hf.space/health answers, and names the model
"""
"""What a person has to see to; printed at the end."""


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
    parser = argparse.ArgumentParser(
        prog="python -m demo.space",
        description=__doc__,
        epilog=CHECKS.format(out="OUT"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, help="a new or empty folder")
    args = parser.parse_args(argv)
    try:
        assemble(args.out)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in args.out.rglob("*") if file.is_file())
    print(f"{args.out}: a complete Space, {size / 1e6:.0f} MB.")
    print(CHECKS.format(out=args.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
