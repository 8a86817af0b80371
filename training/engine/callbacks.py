"""What happens during an epoch and after it: progress, checkpoint, early stopping."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fashion_xai.progress import ProgressBar
from training.engine import checkpoint


class Progress(keras.callbacks.Callback):
    """A bar per epoch with images/s and the time left, and one line of results after it."""

    def __init__(self, images: int, batch_size: int, title: str):
        super().__init__()
        self._first = self._last = 0.0
        self.images, self.batch_size, self.title = images, batch_size, title
        self.rate = 0.0
        """Images per second of the last whole epoch, from its second step on."""

    def on_epoch_begin(self, epoch, logs=None):
        self.bar = ProgressBar(
            total=self.images,
            unit="img",
            desc=f"{self.title} epoch {epoch + 1}/{self.params['epochs']}",
            mininterval=0.5 if sys.stderr.isatty() else 15,
        )

    def on_train_batch_end(self, batch, logs=None):
        self._last = time.perf_counter()
        if batch == 0:  # compiling is no training
            self._first = self._last
        self.bar.update(min(self.batch_size, self.images - self.bar.n))
        if logs:
            self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)

    def on_test_begin(self, logs=None):
        spent = self._last - self._first
        self.rate = (self.images - self.batch_size) / spent if spent else 0.0

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()
        accuracies = {
            name.removeprefix("val_").removesuffix("_accuracy"): value
            for name, value in (logs or {}).items()
            if name.startswith("val_") and name.endswith("_accuracy")
        }
        figures = " · ".join(f"{name} {100 * value:.1f}" for name, value in accuracies.items())
        print(
            f"validation loss {(logs or {}).get('val_loss', math.nan):.4f} · {figures}", flush=True
        )


class Checkpoint(keras.callbacks.Callback):
    """Keeps the run's state after each epoch, and the stage's best weights by validation loss.

    Does the work of ``ModelCheckpoint``, ``EarlyStopping`` and ``BackupAndRestore`` in one file:
    three files written one after another could contradict each other after a kill.

    Where the optimizer averages the weights (EMA), it is the averaged ones that are validated and
    kept as the best; training continues with the others.

    Args:
        path: the checkpoint file.
        stage: number of the running stage.
        patience: epochs without a lower validation loss after which the stage stops.
        started: when the run began, its time before a kill set off (``time.time()``).
    """

    def __init__(self, path: Path, stage: int, patience: int, started: float):
        super().__init__()
        self.path, self.stage, self.patience, self.started = path, stage, patience, started
        self.best_loss, self.best_epoch = math.inf, -1
        self.best: list[np.ndarray] = []
        self.stopped = False
        self._raw: list[np.ndarray] = []
        self._validated: list[np.ndarray] = []

    def restore(self, state: dict[str, Any], groups: dict[str, list[np.ndarray]]) -> int:
        """Put a stage's state back; returns the epoch to resume with."""
        model = self.model
        model.set_weights(groups["model"])
        for variable, value in zip(model.optimizer.variables, groups["optimizer"], strict=True):
            variable.assign(value)
        self.best, self.best_loss = groups["best"], state["best_loss"]
        self.best_epoch, self.stopped = state["best_epoch"], state["stopped"]
        return state["epoch"]

    def on_test_begin(self, logs=None):
        if self.model.optimizer.use_ema:
            self._raw = self.model.get_weights()
            self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
            # On JAX both now share buffers, which evaluation donates: the averages would be gone.
            self.model.set_weights([np.array(w) for w in self.model.get_weights()])

    def on_test_end(self, logs=None):
        self._validated = self.model.get_weights()
        if self.model.optimizer.use_ema:
            self.model.set_weights(self._raw)

    def on_epoch_end(self, epoch, logs=None):
        weights = self.model.get_weights()
        if logs["val_loss"] < self.best_loss:
            self.best, self.best_loss, self.best_epoch = self._validated, logs["val_loss"], epoch
        self.stopped = epoch - self.best_epoch >= self.patience
        state = {
            "stage": self.stage,
            "epoch": epoch + 1,
            "seconds": time.time() - self.started,
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
        }
        optimizer = [np.asarray(v) for v in self.model.optimizer.variables]
        checkpoint.write(self.path, state, model=weights, optimizer=optimizer, best=self.best)
        if self.stopped:
            print(f"No lower validation loss for {self.patience} epochs: the stage ends.")
            self.model.stop_training = True
