"""Training on real data reaches what it should: images, tables and text."""

import csv
import gzip

import numpy as np
import pytest

import symgraph as sg
from symgraph.models.datasets import Text


@pytest.fixture(scope="module")
def datasets(shared_data):
    return shared_data / "datasets"


def images(folder, name, offset):
    return np.frombuffer(gzip.decompress((folder / "mnist" / name).read_bytes()), np.uint8, offset=offset)


def test_a_convolutional_network_reads_97_of_100_digits_after_five_epochs(datasets):
    sg.random.set_seed(0)
    x = images(datasets, "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1).astype(np.float32) / 255
    y = images(datasets, "t10k-labels-idx1-ubyte.gz", 8)
    model = sg.models.convnet()
    model.compile(sg.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])

    model.fit(x[:8000], y[:8000], batch_size=64, epochs=5, verbose=0)

    assert model.evaluate(x[8000:], y[8000:], verbose=0)[1] >= 0.97


def test_the_age_of_abalone_is_told_to_one_and_a_half_rings(datasets):
    sg.random.set_seed(0)
    rows = list(csv.reader((datasets / "abalone" / "abalone.csv").read_text().splitlines()))[1:]
    x = np.array([[*(row[0] == sex for sex in "MFI"), *map(float, row[1:-1])] for row in rows], np.float32)
    y = np.array([[float(row[-1])] for row in rows], np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    test, train = order[:len(x) // 5], order[len(x) // 5:]
    x = (x - x[train].mean(0)) / x[train].std(0)
    model = sg.Sequential([sg.layers.Dense(64, activation="relu", input_shape=(x.shape[1],)),
                           sg.layers.Dense(32, activation="relu"), sg.layers.Dense(1)])
    model.compile(sg.optimizers.Adam(3e-3), "mean_absolute_error")

    model.fit(x[train], y[train], epochs=30, verbose=0)

    assert model.evaluate(x[test], y[test], verbose=0) < 1.6


TEXT_MODELS = {
    "lstm": (lambda n: sg.models.lstm_text(n, units=192), lambda: sg.optimizers.Adam(4e-3), 32, 490),
    "gpt": (lambda n: sg.models.gpt(n), lambda: sg.optimizers.AdamW(2e-3, beta_2=0.99), 16, 900),
}


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_a_language_model_gets_under_two_nats_a_character(name, datasets):
    sg.random.set_seed(0)
    make, optimizer, batch, steps = TEXT_MODELS[name]
    text = Text((datasets / "tinyshakespeare" / "input.txt").read_text())
    x, y = text.windows(64, share=0.9)
    x_test, y_test = (part[:200] for part in text.windows(64, start=0.9))
    model = make(len(text.characters))
    model.compile(optimizer(), sg.losses.SparseCategoricalCrossentropy(from_logits=True))

    model.fit(x, y, batch_size=batch, steps_per_epoch=steps, verbose=0)

    assert model.evaluate(x_test, y_test, verbose=0) < 2.0
