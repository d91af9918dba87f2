"""TensorBoard: what its own reader finds in the files."""

import struct
import sys
import zlib

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

import symgraph as sg
from symgraph.training.callbacks import TensorBoard
from symgraph.training.callbacks.event_files import as_images, graph_def, png


def fit(folder, epochs=2, embedding=False, **options):
    layers = [sg.layers.Embedding(10, 4, name="table"), sg.layers.Flatten(name="flat")] if embedding else []
    model = sg.Sequential([*layers, sg.layers.Dense(3, activation="relu", name="hidden"),
                           sg.layers.Dense(1, name="head")])
    model.compile(sg.optimizers.SGD(0.01), "mse", metrics=["mae"])
    x = np.arange(64 * 5).reshape(64, 5) % 10
    history = model.fit(x if embedding else x.astype(np.float32) / 10, x.sum(1, keepdims=True) / 50.0, epochs=epochs,
                        verbose=0, validation_split=0.25, batch_size=8, shuffle=False,
                        callbacks=[TensorBoard(folder, **options)])
    return model, history


def read(folder):
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    found.Reload()
    return found


def series(found, tag):
    return [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in found.Tensors(tag)]


def scalars(found, tag):
    return [(step, float(value)) for step, value in series(found, tag)]


def numbered(values):
    return [(epoch, pytest.approx(value)) for epoch, value in enumerate(values)]


def test_epochs_are_scalars(tmp_path):
    _, history = fit(tmp_path)
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")

    for name in ("loss", "mae"):
        assert scalars(train, f"epoch_{name}") == numbered(history.history[name])
        assert scalars(validation, f"epoch_{name}") == numbered(history.history[f"val_{name}"])
    assert scalars(train, "epoch_learning_rate") == numbered([0.01, 0.01])
    assert [step for step, _ in scalars(validation, "evaluation_loss_vs_iterations")] == [6, 12]


@pytest.mark.parametrize("update_freq, steps", [("batch", list(range(1, 13))), (1, list(range(1, 13))),
                                                (5, [5, 10]), ("epoch", None)])
def test_batches_are_scalars_every_so_often(update_freq, steps, tmp_path):
    fit(tmp_path, update_freq=update_freq, write_steps_per_second=True)
    train = read(tmp_path / "train")

    assert all(value > 0 for _, value in scalars(train, "epoch_steps_per_second"))
    if steps is None:
        assert not any(tag.startswith("batch_") for tag in train.Tags()["tensors"])
    else:
        assert [step for step, _ in scalars(train, "batch_loss")] == steps
        assert [step for step, _ in scalars(train, "batch_steps_per_second")] == steps


def test_without_update_freq_no_batch_is_looked_at(tmp_path):
    callbacks = sg.callbacks.CallbackList([TensorBoard(tmp_path)])
    assert not callbacks.uses("on_train_batch_begin") and not callbacks.uses("on_train_batch_end")


def test_weights_are_histograms_and_images_every_so_often(tmp_path):
    model, _ = fit(tmp_path, epochs=3, histogram_freq=2, write_images=True)
    train = read(tmp_path / "train")
    steps, buckets = zip(*series(train, "hidden/kernel/histogram"), strict=True)

    assert steps == (0, 2)
    assert buckets[-1][:, 2].sum() == 15
    assert buckets[-1][0, 0] == pytest.approx(model.get_layer("hidden").get_weights()[0].min(), rel=1e-6)
    assert {tag for tag in train.Tags()["tensors"] if tag.endswith("/image")} == {
        "hidden/kernel/image", "hidden/bias/image", "head/kernel/image"}
    width, height, first = series(train, "hidden/kernel/image")[0][1].tolist()
    assert (width, height, first[:4]) == (b"5", b"3", b"\x89PNG")


def test_the_graph_is_that_of_the_layers(tmp_path):
    fit(tmp_path)
    nodes = {node.name: node for node in read(tmp_path / "train").Graph().node}

    assert nodes["hidden/MatMul"].op == "MatMul"
    assert "hidden/kernel" in nodes["hidden/MatMul"].input
    assert [d.size for d in nodes["hidden"].attr["_output_shapes"].list.shape[0].dim] == [-1, 3]


def test_a_graph_is_not_written_unless_asked_for(tmp_path):
    fit(tmp_path, write_graph=False)

    assert read(tmp_path / "train").Tags()["graph"] is False


def test_every_operand_of_a_graph_is_a_node_of_it(rng):
    x = sg.Input((8, 8, 3))
    y = sg.layers.Conv2D(4, 3).apply(x)
    y = sg.layers.Add().apply([y, sg.layers.Conv2D(4, 3).apply(x)])
    values, indices = sg.top_k(sg.layers.Flatten().apply(y), 2)
    graph = sg.Graph([x], [values, indices, values * 2.0])
    definition = graph_def(graph)
    names = [node.name for node in definition.node]

    assert len(set(names)) == len(names)
    assert {i.split(":")[0] for node in definition.node for i in node.input} <= set(names)


def test_embeddings_go_to_the_projector(tmp_path):
    model, _ = fit(tmp_path, embedding=True, embeddings_freq=1, embeddings_metadata={"table": "labels.tsv"})
    config = (tmp_path / "projector_config.pbtxt").read_text()

    assert 'tensor_path: "train/table.tsv"' in config and 'metadata_path: "labels.tsv"' in config
    assert np.loadtxt(tmp_path / "train" / "table.tsv", delimiter="\t") == pytest.approx(
        model.get_layer("table").get_weights()[0], rel=1e-5)


def test_labels_for_no_layer_are_refused(tmp_path):
    with pytest.raises(sg.TrainingError, match="names other; the Embedding layers are table"):
        fit(tmp_path, embedding=True, embeddings_freq=1, embeddings_metadata={"other": "labels.tsv"})


@pytest.mark.parametrize("arguments, text", [
    ({"profile_batch": 3}, r"profile_batch=3; use sg\.profile"), ({"update_freq": 0}, "update_freq must be"),
    ({"update_freq": "step"}, "update_freq must be")])
def test_what_it_does_not_do_is_refused(arguments, text):
    with pytest.raises(sg.TrainingError, match=text):
        TensorBoard(**arguments)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)

    with pytest.raises(sg.MissingDependencyError, match=r"pip install 'symgraph\[tensorboard\]'"):
        TensorBoard()


def unpacked(data):
    """The pixels of a PNG file."""
    chunks, place = {}, 8
    while place < len(data):
        size = int.from_bytes(data[place:place + 4], "big")
        kind, content = data[place + 4:place + 8], data[place + 8:place + 8 + size]
        assert int.from_bytes(data[place + 8 + size:place + 12 + size], "big") == zlib.crc32(kind + content)
        chunks[kind], place = content, place + size + 12
    width, height, depth, color = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert depth == 8
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    return lines[:, 1:].reshape(height, width, {0: 1, 2: 3, 6: 4}[color])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_png_files(channels, rng):
    image = rng.random((3, 5, channels))

    assert (unpacked(png(image)) == np.round(image * 255)).all()


@pytest.mark.parametrize("shape, expected", [
    ((7,), (1, 7, 1, 1)), ((2, 5), (1, 2, 5, 1)), ((5, 2), (1, 2, 5, 1)), ((3, 4, 6), (6, 3, 4, 1)),
    ((1, 3, 4, 6), (6, 3, 4, 1)), ((2, 3, 4, 5), None), ((2, 5, 5, 3), (2, 5, 5, 3)), ((2, 2, 2, 2, 2), None)])
def test_weights_lie_down_as_images(shape, expected, rng):
    images = as_images(rng.normal(size=shape))

    assert (None if images is None else images.shape) == expected
    assert images is None or (images.min(), images.max()) == (0, 1)
