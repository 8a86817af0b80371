"""Train a bundle: ``python -m training.train --data DIR_OR_ZIP --out RUN``."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import platform
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow

import keras
import numpy as np

from fashion_xai.data.catalogue import Catalogue, summarise
from fashion_xai.data.labels import Taxonomy, Vocabulary
from fashion_xai.data.split import SPLITS, read_split, write_split
from fashion_xai.models import bundle
from fashion_xai.models.efficientnet import build_model, cam_layer, set_weights
from training import command, config
from training.calibrate import calibrate
from training.data import also, augment, backgrounds, near_duplicates, packing
from training.data.corrections import correct
from training.data.soft_labels import Teacher, ask
from training.engine import checkpoint, devices, losses, schedule
from training.engine.callbacks import Checkpoint, Progress
from training.engine.transfer import toward, transfer

FIXED = np.random.default_rng(0)
"""For lengths, where the order does not matter."""


class Data(NamedTuple):
    """Packed photos of one size, the labels of all heads, and who is on which side."""

    photos: packing.Photos
    labels: np.ndarray
    sizes: list[int]
    allowed: list[np.ndarray] | None
    teacher: Teacher | None
    train_rows: np.ndarray
    validation_rows: np.ndarray
    others: list[packing.Share]
    floors: np.ndarray | None


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use."""
    settings = config.parse(argv)
    resumes = "Stopped. The same command resumes after the last whole epoch."
    return command.run(lambda: run(settings), resumes)


def run(settings: config.Config) -> Path:
    """Train as set and return the bundle's folder."""
    settings.out.mkdir(parents=True, exist_ok=True)
    claim(settings)
    if settings.on_device and keras.backend.backend() != "jax":
        raise ValueError(
            "--on-device: expected KERAS_BACKEND=jax. Received: TensorFlow, whose input pipeline "
            "would copy each batch to the host and back."
        )
    names = devices.choose(settings.devices)
    if settings.batch_size % len(names):
        raise ValueError(f"--batch-size: expected a multiple of {len(names)} devices.")
    if len(names) > 1:
        print(f"Training on {len(names)} devices: {', '.join(names)}")
    with devices.data_parallel(names):
        return run_on(settings, names)


def run_on(settings: config.Config, names: list[str]) -> Path:
    """Train on the devices that are set up."""
    use_gpu = prepare_backend(settings.seed)
    catalogue = Catalogue(settings.data, table=settings.table)
    catalogue.products = catalogue.products[: settings.limit]
    sizes = list(dict.fromkeys(stage.size for stage in settings.stages))
    packs = dict(zip(sizes, packing.pack(catalogue, sizes, settings.cache), strict=True))
    larger = pack_larger(settings, catalogue, sizes)
    first = packs[sizes[0]]
    products = first.products
    if left_out := summarise([*catalogue.rejected, *first.rejected]):
        print(left_out)

    split_file = settings.out / bundle.SPLIT
    split = make_split(settings, catalogue, split_file)
    if settings.corrections:
        products, changed = correct(products, settings.corrections, split)
        print(f"{changed} labels corrected as {settings.corrections} says")
    train_rows, val_rows = (packing.rows_of(products, split, s) for s in SPLITS[:2])
    if not len(train_rows) or not len(val_rows):
        raise ValueError(
            f"Expected products in training and validation. Received: {len(train_rows)} and "
            f"{len(val_rows)} of {len(products)}"
        )
    others = [also.read(settings, a, n, sizes) for n, a in enumerate(settings.also, start=1)]
    everything = [*products, *(p for other in others for p in other.products)]
    vocabulary = Vocabulary.fit(packing.label_rows(everything), settings.table.attributes)
    taxonomy = Taxonomy.fit(products[i].labels for i in train_rows)
    labels = packing.encode(vocabulary, everything)
    sets = packing.allowed(vocabulary, everything)
    allowed = None if sets is None else list(sets.values())
    print(f"{len(train_rows):,} products to train on, {len(val_rows):,} to validate")
    mixed, start = [], len(products)
    for other in others:
        drawn = other.weights(settings.also_balance) if settings.also_balance else None
        mixed.append(packing.Share(start + other.train_rows, other.share, drawn))
        val_rows = np.r_[val_rows, start + other.validation_rows]
        start += len(other.products)

    floors = grow_floors(settings, others)
    teacher = ask_teacher(settings, catalogue, train_rows, vocabulary)
    path = settings.out / "checkpoint.npz"
    state, groups = checkpoint.read(path) if path.exists() else ({"stage": 0, "seconds": 0.0}, {})
    started = time.time() - state["seconds"]
    # Any size: the stages share one graph, and a stage starts from the best of the one before.
    weights = "none" if groups or settings.init else settings.weights
    rest = (settings.dropout, settings.attention)
    model = build_model(vocabulary.sizes, (None, None), weights, *rest)
    if groups:
        set_weights(model, groups["best"])
    elif settings.init:
        kept = transfer(bundle.load(settings.init), model, vocabulary)
        counts = ", ".join(f"{a} {n} of {vocabulary.sizes[a]}" for a, n in kept.items())
        print(f"Continuing from {settings.init}; labels that keep their weights: {counts}")
    for number, stage in enumerate(settings.stages):
        if number < state["stage"]:
            continue
        resumed = (state, groups) if groups and number == state["stage"] else None
        photos = packing.Photos.join(packs[stage.size], larger.get(stage.size))
        photos = photos.followed_by([other.pixels[stage.size] for other in others])
        if settings.on_device:
            photos = photos.on_device()
        classes = list(vocabulary.sizes.values())
        data = Data(photos, labels, classes, allowed, teacher, train_rows, val_rows, mixed, floors)
        train_stage(model, settings, number, data, use_gpu, path, started, resumed)

    # Weights move to a float32 graph of the final size: that is what ships.
    keras.mixed_precision.set_global_policy("float32")
    size, stride = settings.stages[-1].size, settings.output_stride
    final = build_model(vocabulary.sizes, size, "none", *rest, output_stride=stride)
    set_weights(final, model.get_weights())
    if settings.init and settings.toward_init:
        toward(bundle.load(settings.init), final, vocabulary, settings.toward_init)
    card = describe(settings, products, split, time.time() - started, names)
    if others:
        card["also"] = [other.describe() for other in others]
    theirs = [other.split_file for other in others]
    bundle.save(settings.out / "bundle", final, vocabulary, taxonomy, card, split_file, theirs)
    calibrate(settings.out / "bundle", catalogue, [other.labelled for other in others])
    print(f"Bundle: {settings.out / 'bundle'}")
    return settings.out / "bundle"


def claim(settings: config.Config) -> None:
    """A run's folder belongs to one configuration: another one would resume into nonsense.

    Stages may be added at the end: the run then continues with them.
    """
    file = settings.out / "config.json"
    mine = settings.learning()
    if file.exists():
        theirs = json.loads(file.read_text())
        different = [k for k in mine if mine[k] != theirs.get(k)]
        extended = mine["stages"][: len(theirs["stages"])] == theirs["stages"]
        if different and not (different == ["stages"] and extended):
            raise ValueError(
                f"{settings.out} holds a run with other settings ({', '.join(different)}). "
                "Give another --out, or the same settings to resume; stages may be added."
            )
    file.write_text(json.dumps(mine, indent=1) + "\n")


def prepare_backend(seed: int) -> bool:
    """Seed everything; mixed precision on a GPU. Returns whether there is one."""
    devices.keep_memory()
    keras.utils.set_random_seed(seed)
    use_gpu = bool(devices.gpus())
    if use_gpu:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    return use_gpu


def pack_larger(
    settings: config.Config, catalogue: Catalogue, sizes: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], packing.Pack]:
    """Size → the packed photos of ``--images``; empty without it."""
    if settings.images is None:
        return {}
    larger = Catalogue(settings.data, settings.images, settings.table)
    wanted = {product.id for product in catalogue.products} & larger.replaced
    larger.products = [product for product in larger.products if product.id in wanted]
    packs = packing.pack(larger, sizes, settings.cache)
    print(f"{len(wanted):,} products have a larger photo in {settings.images}")
    if left_out := summarise(packs[0].rejected):
        print(left_out)
    return dict(zip(sizes, packs, strict=True))


def grow_floors(settings: config.Config, others: Sequence[also.Other]) -> np.ndarray | None:
    """Backgrounds from the corners of the other catalogues' photos to train on, as many as the
    bank holds of them; None where they are not asked for."""
    rows = [(other, row) for other in others for row in other.train_rows]
    if settings.augment != "phone" or not settings.backgrounds or not rows:
        return None
    chosen = np.random.default_rng(settings.seed).permutation(len(rows))
    photos = [
        rows[i][0].catalogue.photo(rows[i][0].products[rows[i][1]])
        for i in chosen[: augment.RandomBackground.BANK // 2]
    ]
    print(f"{len(photos)} backgrounds are grown from the corners of photos of --also")
    return backgrounds.floors(photos, settings.seed)


def ask_teacher(
    settings: config.Config, catalogue: Catalogue, rows: np.ndarray, vocabulary: Vocabulary
) -> Teacher | None:
    """What ``--teacher`` says about the products to train on, at the size it was made for."""
    if settings.teacher is None:
        return None
    height, width = bundle.read_card(settings.teacher)["input_size"]
    (pack,) = packing.pack(catalogue, [(height, width)], settings.cache)
    file = settings.out / "teacher.npz"
    return ask(settings.teacher, pack.pixels, rows, vocabulary, settings.teacher_weight, file)


def make_split(settings: config.Config, catalogue: Catalogue, file: Path) -> dict[str, str]:
    """Read or make the split; it is kept in the run, so that a resume takes the same."""
    if not file.exists():
        if settings.split_file:
            read_split(settings.split_file)
            shutil.copyfile(settings.split_file, file)
        elif settings.split_by == "random":
            write_split(file, near_duplicates.split_at_random(catalogue.products, settings.seed))
        else:
            write_split(file, also.split_apart(catalogue, settings))
    return read_split(file)


def train_stage(model, settings, number, data, use_gpu, path, started, resumed) -> None:
    """Train the model in place for one stage; it ends with the stage's best weights."""
    stage = settings.stages[number]
    freeze(model, stage.frozen, settings.freeze_norm)
    photos = keras.Input((*stage.size, packing.CHANNELS), name="photo", dtype="uint8")
    layers = augment.build(settings.augment, settings.seed, settings.backgrounds, data.floors)
    logits = model(layers(photos))
    # A nested call loses the heads' names, and with them those of the metrics.
    heads = [keras.layers.Identity(name=n)(x) for n, x in zip(model.output_names, logits)]
    trainer = keras.Model(photos, heads, name="trainer")
    size = len(packing.mixed(FIXED, data.train_rows, data.others, settings.epoch_size))
    steps = math.ceil(size / settings.batch_size)
    warmup = min(int(settings.warmup * steps), steps * stage.epochs - 1)
    rate = schedule.WarmupCosine(stage.rate, warmup, steps * stage.epochs)
    trainer.compile(
        keras.optimizers.AdamW(
            rate,
            weight_decay=settings.weight_decay,
            clipnorm=5.0,
            use_ema=settings.ema > 0,
            ema_momentum=settings.ema or 0.99,
        ),
        loss=make_losses(settings, data),
        loss_weights=[settings.head_weights.get(name, 1.0) for name in model.output_names],
        metrics=[[losses.MaskedAccuracy()] for _ in model.outputs],
        # XLA on a CPU loses oneDNN's convolutions.
        jit_compile=use_gpu or keras.backend.backend() == "jax",
    )
    trainer.optimizer.build(trainer.trainable_variables)
    build_metrics(trainer, data.allowed is not None)
    keeper = Checkpoint(path, number, settings.patience, started)
    keeper.set_model(trainer)
    epoch = keeper.restore(*resumed) if resumed else 0
    title = f"{stage.size[0]}×{stage.size[1]}"
    if epoch < stage.epochs and not keeper.stopped:
        batches = packing.Batches(
            data.photos,
            data.train_rows,
            data.labels,
            settings.batch_size,
            shuffle_seed=settings.seed + 1000 * number,
            first_epoch=epoch,
            larger_share=settings.larger_share,
            teacher=data.teacher,
            allowed=data.allowed,
            others=data.others,
            epoch_size=settings.epoch_size,
        )
        progress = Progress(size, settings.batch_size, title)
        trainer.fit(
            batches,
            validation_data=packing.Batches(
                data.photos,
                data.validation_rows,
                data.labels,
                settings.batch_size,
                allowed=data.allowed,
            ),
            initial_epoch=epoch,
            epochs=stage.epochs,
            verbose=0,
            callbacks=[
                keeper,
                progress,
                keras.callbacks.CSVLogger(settings.out / f"log-{number}.csv", append=epoch > 0),
                *tensorboard(settings.out / "tensorboard" / str(number)),
            ],
        )
        if settings.measure_step:
            bare = measure_step(trainer, batches)
            print(
                f"{title}: {progress.rate:,.0f} images/s in the last epoch, {bare:,.0f} in the "
                f"bare step on one batch: {100 * (1 - progress.rate / bare):.0f} % for the input"
            )
    trainer.set_weights(keeper.best)


def build_metrics(trainer: keras.Model, sets: bool) -> None:
    """Make the variables of losses and metrics now.

    Otherwise they appear while TensorFlow traces the first step, which it then traces once more.
    """
    logits = [keras.ops.zeros((1, *output.shape[1:])) for output in trainer.outputs]
    labels = [keras.ops.zeros(x.shape if sets else (1,), "int32") for x in logits]
    trainer.compute_loss(None, labels, logits)
    trainer.compute_metrics(None, labels, logits)
    trainer.reset_metrics()


def measure_step(trainer: keras.Model, batches: packing.Batches, rounds: int = 10) -> float:
    """Images per second of the training step alone, on one batch again and again.

    It trains: call it where the weights do not matter any more.
    """
    photos, labels = batches[0]
    times = []
    for _ in range(rounds + 2):  # two to compile and to warm up
        start = time.perf_counter()
        trainer.train_on_batch(photos, labels)  # returns the loss: the device has finished
        times.append(time.perf_counter() - start)
    return len(photos) / float(np.median(times[2:]))


def make_losses(settings: config.Config, data: Data) -> list[keras.losses.Loss]:
    """One loss per head, in the heads' order."""
    made: list[keras.losses.Loss] = []
    for labels, classes in zip(data.labels[data.train_rows].T, data.sizes, strict=True):
        offset = settings.logit_adjustment * losses.log_prior(labels, classes)
        weights = losses.class_weights(labels, classes, settings.class_balance)
        sets = data.allowed is not None and data.teacher is None
        made.append(losses.MaskedCrossentropy(settings.smoothing, offset, weights, sets))
    return made


def freeze(model: keras.Model, last: str, norm: bool = False) -> None:
    """Train only what comes after layer ``last`` ('': everything); ``norm``: no batch norm either.

    A batch normalisation that is not trained computes with its moving averages in training too.
    """
    names = [layer.name for layer in model.layers]
    if last and last not in names:
        raise ValueError(f"No layer {last!r} to freeze up to. Expected one such as 'block2b_add'.")
    for position, layer in enumerate(model.layers):
        kept = norm and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = not kept and (not last or position > names.index(last))


def tensorboard(folder: Path) -> list[keras.callbacks.Callback]:
    """The TensorBoard callback needs TensorFlow and tensorboard; the CSV log is always there."""
    if keras.backend.backend() != "tensorflow" or not importlib.util.find_spec("tensorboard"):
        return []
    return [keras.callbacks.TensorBoard(folder, write_graph=False)]


def kind_of_split(settings: config.Config) -> str:
    """How the split was made; of a bundle's split.csv, what that bundle's card says."""
    folder = settings.split_file.parent if settings.split_file else None
    if folder is None or not (folder / bundle.CARD).is_file():
        return settings.learning()["split_by"]
    return bundle.read_card(folder)["split"]["kind"]


def describe(settings, products, split, seconds: float, names: list[str]) -> dict:
    """The card without metrics, which ``training.evaluate`` adds."""
    sides = [split.get(product.id, "unused") for product in products]
    card = {
        "cam_layer": cam_layer(settings.attention),
        "input_size": list(settings.stages[-1].size),
        "output_stride": settings.output_stride,
        "table": settings.table.to_json(),
        "split": {
            "kind": kind_of_split(settings),
            **{side: sides.count(side) for side in SPLITS},
        },
        "configuration": settings.learning(),
        "training": {
            "minutes": round(seconds / 60, 1),
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "hardware": f"{os.cpu_count()} CPU cores ({platform.machine()})"
            + "".join(f", {name}" for name in names if not name.startswith("cpu")),
        },
        "metrics": {},
    }
    if settings.init:
        parent = bundle.read_card(settings.init)
        card["continued_from"] = {
            key: parent[key]
            for key in ("configuration", "training", "continued_from")
            if key in parent
        }
    return card


if __name__ == "__main__":
    sys.exit(main())
