"""The settings of a training run: one dataclass, filled by the command line, kept in the bundle."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from pathlib import Path

from fashion_xai.audit.annotations import corrections
from fashion_xai.cli import schema
from fashion_xai.cli.renamed import in_todays_words
from fashion_xai.cli.shared import positive
from fashion_xai.data.schema import Table
from fashion_xai.data.schema import read as read_table
from fashion_xai.models import attention, bundle, hub
from fashion_xai.models.bundle import BundleError
from fashion_xai.models.efficientnet import OUTPUT_STRIDES, STRIDE
from fashion_xai.progress import add_quiet
from training.data import augment, near_duplicates
from training.data.packing import CACHE

_ELSEWHERE = (
    *("data", "out", "images", "cache", "init", "teacher", "table"),
    *("devices", "on_device", "measure_step", "onnx"),
)
"""Settings that say where things are, or that learn nothing."""

STAGES = "128x96:4:1.2e-3,256x192:1:4e-4"
"""Of a training from ImageNet's weights."""

FINE_TUNING = "{}x{}:4:4e-4:block3b_add"
"""Of one that continues from a bundle, at that bundle's size; batch norm is kept as it is."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """Epochs at one size, with a warm-up and a cosine decay of their own.

    Args:
        size: (height, width).
        epochs: how many.
        rate: peak learning rate.
        frozen: layer up to which (inclusive) nothing is trained; '' trains all.
    """

    size: tuple[int, int]
    epochs: int
    rate: float
    frozen: str = ""

    def __str__(self) -> str:
        text = f"{self.size[0]}x{self.size[1]}:{self.epochs}:{self.rate:g}"
        return f"{text}:{self.frozen}" if self.frozen else text


def parse_stages(text: str) -> tuple[Stage, ...]:
    """``HxW:EPOCHS:RATE[:FROZEN],…`` → stages.

    Raises:
        argparse.ArgumentTypeError: another form, or sides that are no multiples of 32.
    """
    stages = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)x(\d+):(\d+):([0-9.e+-]+)(?::(\w+))?", part.strip())
        if not match:
            raise argparse.ArgumentTypeError(
                f"expected HxW:EPOCHS:RATE[:FROZEN_UP_TO_LAYER],… such as {STAGES}; "
                f"received {part!r}"
            )
        height, width, epochs = (int(match[i]) for i in (1, 2, 3))
        try:
            rate = float(match[4])
        except ValueError:
            raise argparse.ArgumentTypeError(f"not a learning rate: {match[4]!r}") from None
        if height % STRIDE or width % STRIDE or not (height and width and epochs):
            raise argparse.ArgumentTypeError(
                f"expected sides that are multiples of {STRIDE} and one epoch or more; "
                f"received {part!r}"
            )
        stages.append(Stage((height, width), epochs, rate, match[5] or ""))
    return tuple(stages)


@dataclasses.dataclass(frozen=True)
class Also:
    """Another catalogue in the same training.

    Args:
        data: folder or zip.
        share: of the photos of a batch.
        table: its description.
    """

    data: Path
    share: float
    table: Table


def parse_also(text: str) -> Also:
    """``DATA[:SHARE][:DESCRIPTION.json]`` → another catalogue; a quarter of each batch if no share.

    Raises:
        argparse.ArgumentTypeError: another form, or a description that cannot be read.
    """
    match = re.fullmatch(r"(.+?)(?::(0?\.\d+))?(?::([^:]+\.json))?", text)
    assert match  # any text is a path
    share = float(match[2] or 0.25)
    if not share > 0:
        raise argparse.ArgumentTypeError(f"expected a share above 0 and below 1; received {text!r}")
    try:
        table = read_table(Path(match[3])) if match[3] else Table()
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Also(Path(match[1]), share, table)


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides what a run learns, and where it reads and writes."""

    data: Path
    table: Table
    out: Path
    also: tuple[Also, ...]
    also_balance: float
    epoch_size: int | None
    images: Path | None
    larger_share: float
    split_by: str
    split_file: Path | None
    corrections: Path | None
    weights: str
    init: Path | None
    teacher: Path | None
    teacher_weight: float
    stages: tuple[Stage, ...]
    batch_size: int
    weight_decay: float
    smoothing: float
    logit_adjustment: float
    class_balance: float
    head_weights: dict[str, float]
    dropout: float
    attention: str
    output_stride: int
    freeze_norm: bool
    warmup: float
    ema: float
    toward_init: float
    patience: int
    augment: str
    backgrounds: float
    seed: int
    limit: int | None
    cache: Path
    devices: int | None
    on_device: bool
    measure_step: bool
    onnx: bool

    def learning(self) -> dict:
        """The part that decides what is learnt, as JSON; the same after a resume."""
        values = dataclasses.asdict(self)
        for name in _ELSEWHERE:
            values.pop(name)
        values["corrections"] = self.corrections and corrections(self.corrections)
        values["split_by"] = "file" if self.split_file else self.split_by
        values.pop("split_file")
        values["weights"] = None if self.init else Path(self.weights).name
        values["stages"] = [str(stage) for stage in self.stages]
        values["init"] = self.init and bundle.read_card(self.init)["sha256"][bundle.MODEL]
        values["teacher"] = self.teacher and bundle.read_card(self.teacher)["sha256"][bundle.MODEL]
        values["also"] = [
            {"file": a.data.name, "share": a.share, "table": a.table.to_json()} for a in self.also
        ]
        values["attributes"] = list(self.table.attributes)
        values["larger_photos"] = self.images is not None
        return json.loads(json.dumps(values))


def parse(argv: list[str] | None = None, prog: str = "python -m training.train") -> Config:
    """Command line → settings; unknown flags are refused with exit code 2."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Train the classifier on a catalogue and write a bundle to OUT/bundle.",
        epilog="A killed run resumes where it stopped when the same command is given again. "
        "KERAS_BACKEND=jax trains on JAX instead of TensorFlow.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_data(parser.add_argument_group("what is learnt from"))
    _add_start(parser.add_argument_group("where it starts, and what it is"))
    _add_schedule(parser.add_argument_group("how it learns"))
    _add_objective(parser.add_argument_group("what counts as wrong"))
    _add_photos(parser.add_argument_group("how photos are changed"))
    _add_machine(parser.add_argument_group("where it runs"))
    add_quiet(parser)
    schema.add_arguments(parser)
    args = parser.parse_args(in_todays_words(argv, {"--split": _split_of_today}))
    try:
        _choose_schedule(args)
    except BundleError as error:
        parser.error(f"--init: {error}")
    table = schema.from_arguments(args)
    for name in schema.FLAGS:
        delattr(args, name)
    if strange := set(args.head_weights) - set(table.attributes):
        parser.error(f"--head-weights: no head {', '.join(sorted(strange))}")
    args.also = tuple(args.also)
    if sum(a.share for a in args.also) >= 0.95:
        parser.error("--also: expected shares that leave 0.05 or more for --data")
    if args.also and args.on_device:
        parser.error("--also cannot be kept --on-device")
    return Config(table=table, **vars(args))


def _choose_schedule(args: argparse.Namespace) -> None:
    """What was left open, by where the training starts.

    Raises:
        BundleError: ``--init`` is no bundle.
    """
    if args.stages is None and args.init is None:
        args.stages = parse_stages(STAGES)
    elif args.stages is None:
        args.stages = parse_stages(FINE_TUNING.format(*bundle.read_card(args.init)["input_size"]))
        args.freeze_norm = True
    if args.augment is None:
        args.augment = "medium" if args.init else "strong"


def _add_data(group) -> None:
    add = group.add_argument
    add(
        "--data",
        type=Path,
        required=True,
        help="folder, zip or table (docs/data.md)",
    )
    add(
        "--also",
        type=parse_also,
        nargs="+",
        default=(),
        metavar="DATA[:SHARE][:DESCRIPTION.json]",
        help="train on other catalogues too: each gets a share of every batch (0.25 if not given); "
        'the JSON names its table and columns (fashion_xai.data.schema.Table), such as {"file": '
        '"phone.csv", "label": "label", "words": ["labels.json"], "group": "sender"}',
    )
    add(
        "--also-balance",
        type=_share,
        default=0.0,
        metavar="POWER",
        help="draw the products of --also by the frequency of their word to the power of -POWER: "
        "0.5 is square-root sampling, 1 draws all words alike, 0 all products alike",
    )
    add(
        "--epoch-size",
        type=positive,
        metavar="N",
        help="photos of an epoch, all catalogues together; all of --data once if not given",
    )
    add("--images", type=Path, help="folder or zip of larger photos of the same ids")
    add(
        "--larger-share",
        type=_share,
        default=0.5,
        help="how often the photo from --images is taken in training where there is one: 1 "
        "replaces the smaller one; validation keeps the photos of --data",
    )
    add(
        "--split-by",
        choices=near_duplicates.KINDS,
        default=near_duplicates.KINDS[0],
        help="how to split 80/10/10: no near-duplicate on two sides, or at random (leaky, to "
        "compare with published figures)",
    )
    add(
        "--split-file",
        type=Path,
        metavar="CSV",
        help="id,split: a split that was made before, in place of --split-by",
    )
    add(
        "--corrections",
        type=Path,
        metavar="CSV",
        help="annotations of an audit: labels called wrong are replaced by the suggested ones; "
        "those of test products are refused",
    )
    add("--limit", type=positive, help="train on the first N products only, for a trial")


def _add_start(group) -> None:
    add = group.add_argument
    add(
        "--weights",
        default="imagenet",
        help="start of the backbone: imagenet (downloads), none, or a weights file",
    )
    add(
        "--init",
        type=_bundle,
        metavar="BUNDLE",
        help="continue from a bundle instead of --weights: more epochs, new data or other labels; "
        "labels that both know keep their weights. A folder, hf://owner/name, or shipped",
    )
    add(
        "--teacher",
        type=_bundle,
        metavar="BUNDLE",
        help="learn half from the labels and half from what this bundle says about the photos as "
        "they are: against noisy labels, and for answers that stay the same in front of any "
        "background",
    )
    add(
        "--teacher-weight",
        type=_share,
        default=0.5,
        help="of the teacher's soft label beside the label",
    )
    add(
        "--attention",
        choices=attention.KINDS,
        default="none",
        help="a block before the pooling: squeeze-and-excitation, or CBAM",
    )
    add(
        "--output-stride",
        type=int,
        choices=OUTPUT_STRIDES,
        default=16,
        help="pixels per cell of the bundle's maps. Training computes with 32, which costs less "
        "than half; the weights are the same and calibration sees what ships",
    )
    add("--dropout", type=float, default=0.2, help="before the heads")


def _add_schedule(group) -> None:
    add = group.add_argument
    add(
        "--stages",
        type=parse_stages,
        metavar="HxW:EPOCHS:RATE[:FROZEN],…",
        help="size schedule; each stage has its peak learning rate; FROZEN names the last layer "
        f"that is kept as it is. The last size is the one that ships. If not given: {STAGES}, or "
        f"with --init {FINE_TUNING.format('H', 'W')} and --freeze-norm, HxW being the bundle's",
    )
    add("--batch-size", type=positive, default=64)
    add("--weight-decay", type=float, default=0.01)
    add(
        "--freeze-norm",
        action="store_true",
        help="keep batch normalisation as it is (statistics and scales): right when continuing "
        "from good weights with --init, and faster; --measure-step tells by how much",
    )
    add("--warmup", type=float, default=0.3, help="epochs of rising learning rate in each stage")
    add(
        "--ema",
        type=_beta,
        default=0.0,
        metavar="MOMENTUM",
        help="average the weights over the steps and keep the averaged ones, such as 0.99; 0: off",
    )
    add(
        "--toward-init",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="of --init's weights in the bundle, the rest being the trained ones: gives back what "
        "was forgotten (WiSE-FT); choose it on the validation split",
    )
    add(
        "--patience",
        type=positive,
        default=3,
        help="epochs without a lower validation loss after which a stage ends early",
    )
    add("--seed", type=int, default=0)


def _add_objective(group) -> None:
    add = group.add_argument
    add("--smoothing", type=float, default=0.05, help="label smoothing")
    add(
        "--logit-adjustment",
        type=float,
        default=0.0,
        metavar="TAU",
        help="train on logits + TAU log(frequency): 0 is plain cross-entropy, 1 aims at "
        "balanced accuracy (Menon et al. 2021)",
    )
    add(
        "--class-balance",
        type=_beta,
        default=0.0,
        metavar="BETA",
        help="weigh each product by its label's effective number (Cui et al. 2019): 0 weighs all "
        "alike, 0.99 or 0.999 lifts rare labels",
    )
    add(
        "--head-weights",
        type=parse_head_weights,
        default={},
        metavar="HEAD=WEIGHT,…",
        help="factor of a head's loss; 1 where not named. Cross-entropies are all in nats, so "
        "the hard heads (colour, season) already weigh more than the easy ones",
    )


def _add_photos(group) -> None:
    add = group.add_argument
    add(
        "--augment",
        choices=augment.KINDS,
        help="if not given 'strong', with --init 'medium'. 'light': mirror, shift, scale; "
        "'strong': also rotation, placement, exposure, sharpness, JPEG and erasing; 'medium': the "
        "same on fewer photos; 'phone': also quarter turns, perspective, shadows and clutter",
    )
    add(
        "--backgrounds",
        type=_share,
        default=0.35,
        help="share of the photos whose studio background is replaced in training: by scenery, and "
        "half of the time by floors grown from the corners of the photos of --also",
    )


def _add_machine(group) -> None:
    add = group.add_argument
    add(
        "--out",
        type=Path,
        default=Path("runs/mine"),
        help="folder of the run: log, checkpoint, bundle",
    )
    add("--cache", type=Path, default=CACHE, help="folder for the decoded photos")
    add(
        "--devices",
        type=positive,
        metavar="N",
        help="GPUs to spread each batch over; all of them if not given",
    )
    add(
        "--on-device",
        action="store_true",
        help="keep all photos in the GPU's memory (KERAS_BACKEND=jax): 8 GB for 40,000 at 256x192",
    )
    add(
        "--measure-step",
        action="store_true",
        help="after each stage, print its images/s beside those of the bare step on one batch",
    )
    add(
        "--no-onnx",
        dest="onnx",
        action="store_false",
        help="leave model.onnx out of the bundle, which takes some seconds: for trials. "
        "python -m training.export BUNDLE makes it later",
    )


def _bundle(text: str) -> Path:
    """The folder of a bundle: ``shipped``, one of the Hub, or a path; raises
    argparse.ArgumentTypeError."""
    if text == "shipped":
        return bundle.SHIPPED
    if hub.is_address(text):
        try:
            return hub.download(text)
        except BundleError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return Path(text)


def _split_of_today(text: str) -> tuple[str, str]:
    """What ``--split`` once meant: a way to split, or a file."""
    kinds = {"twins": near_duplicates.KINDS[0], "random": near_duplicates.KINDS[1]}
    return ("--split-by", kinds[text]) if text in kinds else ("--split-file", text)


def parse_head_weights(text: str) -> dict[str, float]:
    """``articleType=2,season=0.5`` → weights; raises argparse.ArgumentTypeError."""
    weights = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w+)\s*=\s*([0-9.]+)\s*", part)
        if not match:
            raise argparse.ArgumentTypeError(
                f"expected HEAD=WEIGHT,… such as articleType=2; received {part!r}"
            )
        weights[match[1]] = float(match[2])
    return weights


def _beta(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 0 and less than 1; received {text}")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a share in 0–1; received {text}")
    return value
