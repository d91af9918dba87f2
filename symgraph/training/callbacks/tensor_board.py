"""TensorBoard: the course of a training, to be looked at in TensorBoard."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.layers.core import Embedding
from symgraph.training.callbacks.callback import Callback
from symgraph.training.callbacks.event_files import EventFile, as_images, require_tensorboard
from symgraph.training.callbacks.learning_rates import read_learning_rate
from symgraph.training.callbacks.logs import number

_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end")


class TensorBoard(Callback):
    """Writes event files for TensorBoard to `log_dir/train` and `log_dir/validation`: `tensorboard --logdir log_dir`.

    Scalars: the logs of epochs as `epoch_…`, the learning rate with them; of every evaluation as
    `evaluation_…_vs_iterations`; with `update_freq` a number of batches, or "batch", those of batches as `batch_…`;
    with `write_steps_per_second` also how fast it goes. Every `histogram_freq` epochs the distributions of all weights,
    with `write_images` as images too. `write_graph` shows the graph of a model that has inputs, by layers. Every
    `embeddings_freq` epochs the tables of `Embedding` layers go to the projector, with labels from the files
    `embeddings_metadata` (one name for all layers, or a dict by layer).

    Needs the package `tensorboard`: `pip install 'symgraph[tensorboard]'`.

    Errors: `MissingDependencyError` without it; `TrainingError` for `profile_batch`, which `sg.profile` does instead.
    """

    def __init__(self, log_dir: str | os.PathLike[str] = "logs", histogram_freq: int = 0, write_graph: bool = True,
                 write_images: bool = False, write_steps_per_second: bool = False, update_freq: int | str = "epoch",
                 profile_batch: Any = 0, embeddings_freq: int = 0,
                 embeddings_metadata: str | Mapping[str, str] | None = None) -> None:
        super().__init__()
        require_tensorboard(type(self).__name__)
        if profile_batch:
            raise TrainingError(f"TensorBoard: batches are not profiled, got profile_batch={profile_batch!r}; use "
                                "sg.profile, or Session(graph, profile=True) for the time of every node")
        is_number = isinstance(update_freq, int) and not isinstance(update_freq, bool) and update_freq > 0
        if update_freq not in ("batch", "epoch") and not is_number:
            raise TrainingError(f'TensorBoard: update_freq must be "batch", "epoch" or a number of batches, got '
                                f"{update_freq!r}")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq, self.embeddings_freq = histogram_freq, embeddings_freq
        self.write_graph, self.write_images = write_graph, write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self.embeddings_metadata = embeddings_metadata
        self._train = EventFile(os.path.join(self.log_dir, "train"))
        self._validation = EventFile(os.path.join(self.log_dir, "validation"))
        self._batches = 0
        self._batch_began = self._epoch_began = 0.0
        self._iterations = 0

    def uses(self, hook: str) -> bool:
        return super().uses(hook) and (hook not in _BATCH_HOOKS or self.update_freq != "epoch")

    def on_train_begin(self, logs: Any = None) -> None:
        self._batches = 0
        if self.write_graph and self.model._is_connected:
            self._train.graph(self.model.graph)
        if self.embeddings_freq:
            self._describe_embeddings()

    def on_train_end(self, logs: Any = None) -> None:
        self._train.close()
        self._validation.close()

    def on_test_end(self, logs: Any = None) -> None:
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None:
            step = int(number(optimizer.iterations))
            self._scalars(self._validation, {f"evaluation_{k}_vs_iterations": v for k, v in (logs or {}).items()}, step)
        self._validation.flush()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batches += 1
        if isinstance(self.update_freq, str) or self._batches % self.update_freq:
            return
        if self.write_steps_per_second:
            seconds = max(time.perf_counter() - self._batch_began, 1e-9)
            self._train.scalar("batch_steps_per_second", 1.0 / seconds, self._batches)
        self._scalars(self._train, {f"batch_{k}": v for k, v in (logs or {}).items()}, self._batches)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.write_steps_per_second:
            self._iterations = int(number(self.model.optimizer.iterations))
            self._epoch_began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        given = dict(logs or {})
        training = {f"epoch_{k}": v for k, v in given.items() if not k.startswith("val_")}
        training["epoch_learning_rate"] = read_learning_rate(type(self).__name__, self.model)
        if self.write_steps_per_second:
            steps = int(number(self.model.optimizer.iterations)) - self._iterations
            training["epoch_steps_per_second"] = steps / max(time.perf_counter() - self._epoch_began, 1e-9)
        self._scalars(self._train, training, epoch)
        validation = {f"epoch_{k.removeprefix('val_')}": v for k, v in given.items() if k.startswith("val_")}
        self._scalars(self._validation, validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings()
        self._train.flush()
        self._validation.flush()

    def _scalars(self, file: EventFile, logs: Mapping[str, Any], step: int) -> None:
        for name, value in logs.items():
            if isinstance(value, float):
                file.scalar(name, value, step)

    def _write_weights(self, epoch: int) -> None:
        for v in self.model.weights:
            self._train.histogram(f"{v.path}/histogram", v.numpy(), epoch)
            images = as_images(v.numpy()) if self.write_images else None
            if images is not None:
                self._train.images(f"{v.path}/image", images, epoch)

    # Embeddings, for the projector: tables as text, and a file that says where they are.

    def _embeddings(self) -> dict[str, Embedding]:
        return {layer.name: layer for layer in self.model.layers if isinstance(layer, Embedding)}

    def _describe_embeddings(self) -> None:
        from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

        given = self.embeddings_metadata
        layers = self._embeddings()
        unknown = [name for name in given if name not in layers] if isinstance(given, Mapping) else []
        if unknown:
            raise TrainingError(f"TensorBoard: embeddings_metadata names {', '.join(unknown)}; the Embedding layers "
                                f"are {', '.join(layers) or 'none'}")
        config = ProjectorConfig()
        for name, layer in layers.items():
            entry = config.embeddings.add()
            entry.tensor_name = layer.weights[0].path
            entry.tensor_path = os.path.join("train", f"{name}.tsv")
            entry.tensor_shape.extend(layer.weights[0].shape)
            entry.metadata_path = (given.get(name, "") if isinstance(given, Mapping) else given) or ""
        Path(self.log_dir).mkdir(parents=True, exist_ok=True)
        Path(self.log_dir, "projector_config.pbtxt").write_text(str(config), encoding="utf-8")

    def _write_embeddings(self) -> None:
        Path(self.log_dir, "train").mkdir(parents=True, exist_ok=True)
        for name, layer in self._embeddings().items():
            table = np.asarray(layer.weights[0].numpy()).astype(np.float64)
            np.savetxt(Path(self.log_dir, "train", f"{name}.tsv"), table, fmt="%.7g", delimiter="\t")

    def get_state(self) -> dict[str, Any]:
        return {"batches": self._batches}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._batches = state["batches"]
