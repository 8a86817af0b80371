"""The stages of a training: from the start's weights to the last stage's best ones."""

from __future__ import annotations

import importlib.util
import math
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fashion_xai.models import bundle
from fashion_xai.models.efficientnet import build_model, set_weights
from training import config
from training.data import augment, packing
from training.data.dataset import Dataset
from training.engine import checkpoint, losses, schedule
from training.engine.callbacks import Checkpoint, Progress
from training.engine.transfer import transfer

FIXED = np.random.default_rng(0)
"""For lengths, where the order does not matter."""


class Run:
    """One training in its folder, resumed where it was killed.

    Args:
        settings: of the run.
        data: what it learns from.
        use_xla: whether the training step is compiled by XLA.
    """

    def __init__(self, settings: config.Config, data: Dataset, use_xla: bool):
        self.settings, self.data, self.use_xla = settings, data, use_xla
        self.file = settings.out / "checkpoint.npz"
        self.state: dict[str, Any] = {"stage": 0, "seconds": 0.0}
        self.groups: dict[str, list[np.ndarray]] = {}
        if self.file.exists():
            self.state, self.groups = checkpoint.read(self.file)
        self.started = time.time() - self.state["seconds"]

    @property
    def seconds(self) -> float:
        """Spent so far, before a kill too."""
        return time.time() - self.started

    def train(self) -> keras.Model:
        """Go through the stages that are left; returns the model with the last one's best
        weights."""
        model = self._start()
        for number in range(self.state["stage"], len(self.settings.stages)):
            self._train_stage(model, number)
        return model

    def _start(self) -> keras.Model:
        """The model as the run begins or resumes, for photos of any size: the stages share one
        graph, and a stage starts from the best of the one before."""
        settings, vocabulary = self.settings, self.data.vocabulary
        weights = "none" if self.groups or settings.init else settings.weights
        rest = (settings.dropout, settings.attention)
        model = build_model(vocabulary.sizes, (None, None), weights, *rest)
        if self.groups:
            set_weights(model, self.groups["best"])
        elif settings.init:
            kept = transfer(bundle.load(settings.init), model, vocabulary)
            counts = ", ".join(f"{a} {n} of {vocabulary.sizes[a]}" for a, n in kept.items())
            start = "the bundle that ships" if settings.init == bundle.SHIPPED else settings.init
            print(f"Continuing from {start}; labels that keep their weights: {counts}")
        return model

    def _train_stage(self, model: keras.Model, number: int) -> None:
        """Train the model in place."""
        settings, data, stage = self.settings, self.data, self.settings.stages[number]
        size = len(packing.mixed(FIXED, data.train_rows, data.shares, settings.epoch_size))
        trainer = self._trainer(model, number, math.ceil(size / settings.batch_size))
        keeper = Checkpoint(self.file, number, settings.patience, self.started)
        keeper.set_model(trainer)
        resumed = self.groups and number == self.state["stage"]
        epoch = keeper.restore(self.state, self.groups) if resumed else 0
        if epoch < stage.epochs and not keeper.stopped:
            title = f"{stage.size[0]}×{stage.size[1]}"
            progress = Progress(size, settings.batch_size, title)
            batches = self._fit(trainer, number, epoch, [keeper, progress])
            if settings.measure_step:
                bare = measure_step(trainer, batches)
                print(
                    f"{title}: {progress.rate:,.0f} images/s in the last epoch, {bare:,.0f} in "
                    f"the bare step on one batch: {100 * (1 - progress.rate / bare):.0f} % for "
                    "the input"
                )
        trainer.set_weights(keeper.best)

    def _trainer(self, model: keras.Model, number: int, steps: int) -> keras.Model:
        """Augmentation before the model, compiled for one stage of so many steps an epoch."""
        settings, data, stage = self.settings, self.data, self.settings.stages[number]
        freeze(model, stage.frozen, settings.freeze_norm)
        photos = keras.Input((*stage.size, packing.CHANNELS), name="photo", dtype="uint8")
        layers = augment.build(settings.augment, settings.seed, settings.backgrounds, data.floors)
        logits = model(layers(photos))
        # A nested call loses the heads' names, and with them those of the metrics.
        heads = [keras.layers.Identity(name=n)(x) for n, x in zip(model.output_names, logits)]
        trainer = keras.Model(photos, heads, name="trainer")
        warmup = min(int(settings.warmup * steps), steps * stage.epochs - 1)
        trainer.compile(
            keras.optimizers.AdamW(
                schedule.WarmupCosine(stage.rate, warmup, steps * stage.epochs),
                weight_decay=settings.weight_decay,
                clipnorm=5.0,
                use_ema=settings.ema > 0,
                ema_momentum=settings.ema or 0.99,
            ),
            loss=make_losses(settings, data),
            loss_weights=[settings.head_weights.get(name, 1.0) for name in model.output_names],
            metrics=[[losses.MaskedAccuracy()] for _ in model.outputs],
            jit_compile=self.use_xla,
        )
        trainer.optimizer.build(trainer.trainable_variables)
        build_metrics(trainer, data.allowed is not None)
        return trainer

    def _fit(
        self, trainer: keras.Model, number: int, epoch: int, callbacks: list[Any]
    ) -> packing.Batches:
        """Train from an epoch to the stage's last; returns the batches that were trained on."""
        settings, data, stage = self.settings, self.data, self.settings.stages[number]
        photos = data.photos(stage.size)
        if settings.on_device:
            photos = photos.on_device()
        batches = packing.Batches(
            photos,
            data.train_rows,
            data.labels,
            settings.batch_size,
            shuffle_seed=settings.seed + 1000 * number,
            first_epoch=epoch,
            larger_share=settings.larger_share,
            teacher=data.teacher,
            allowed=data.allowed,
            others=data.shares,
            epoch_size=settings.epoch_size,
        )
        validation = packing.Batches(
            photos, data.validation_rows, data.labels, settings.batch_size, allowed=data.allowed
        )
        log = keras.callbacks.CSVLogger(settings.out / f"log-{number}.csv", append=epoch > 0)
        board = tensorboard(settings.out / "tensorboard" / str(number))
        trainer.fit(
            batches,
            validation_data=validation,
            initial_epoch=epoch,
            epochs=stage.epochs,
            verbose=0,
            callbacks=[*callbacks, log, *board],
        )
        return batches


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


def make_losses(settings: config.Config, data: Dataset) -> list[keras.losses.Loss]:
    """One loss per head, in the heads' order."""
    made: list[keras.losses.Loss] = []
    for labels, classes in zip(data.labels[data.train_rows].T, data.classes, strict=True):
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
