"""SwapEMAWeights: what is evaluated and saved are the averages, what is trained the weights."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.training.callbacks import Callback, EarlyStopping, ModelCheckpoint, SwapEMAWeights


class Watch(Callback):
    """Keeps the weights at some moments, and the averages at the end of epochs."""

    def __init__(self):
        super().__init__()
        self.seen = {name: [] for name in ("train", "test", "epoch", "averages")}

    def on_train_batch_end(self, batch, logs=None):
        self.seen["train"].append(self.model.get_weights()[0])

    def on_test_batch_end(self, batch, logs=None):
        self.seen["test"].append(self.model.get_weights()[0])

    def on_epoch_end(self, epoch, logs=None):
        self.seen["epoch"].append(self.model.get_weights()[0])
        self.seen["averages"].append(next(iter(self.model.optimizer.averages.values())).numpy())


def made(optimizer=None):
    sg.random.set_seed(0)
    model = sg.Sequential([sg.layers.Dense(1, input_shape=(4,))])
    model.compile(optimizer or sg.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    return model


def fit(model, rng, *callbacks, **options):
    x = rng.normal(size=(32, 4)).astype(np.float32)
    return model.fit(x, x.sum(1, keepdims=True), batch_size=8, shuffle=False, verbose=0, epochs=3,
                     validation_data=(x, x.sum(1, keepdims=True)), callbacks=list(callbacks), **options)


def seen(rng, *callbacks):
    watch = Watch()
    model = made()
    fit(model, rng, *callbacks, watch)
    return model, watch.seen


def equal(a, b):
    return len(a) == len(b) and all((p == q).all() for p, q in zip(a, b, strict=True))


def test_validation_has_the_averages_and_training_goes_on_with_the_weights(rng):
    _, plain = seen(np.random.default_rng(0))
    _, swapped = seen(np.random.default_rng(0), SwapEMAWeights())

    assert equal(swapped["test"], [w for w in plain["averages"] for _ in range(4)])
    assert equal(swapped["train"], plain["train"])
    assert equal(swapped["epoch"], plain["epoch"])


def test_with_swap_on_epoch_callbacks_after_it_see_the_averages(rng):
    _, plain = seen(np.random.default_rng(0))
    model, swapped = seen(np.random.default_rng(0), SwapEMAWeights(swap_on_epoch=True))

    assert equal(swapped["epoch"], plain["averages"])
    assert equal(swapped["train"], plain["train"])
    assert (model.get_weights()[0] == plain["averages"][-1]).all()


def test_training_that_stops_early_ends_with_the_averages(rng):
    model = made()
    watch = Watch()
    fit(model, rng, SwapEMAWeights(swap_on_epoch=True), watch, EarlyStopping("loss", patience=0, min_delta=100.0))

    assert len(watch.seen["epoch"]) == 2
    assert (model.get_weights()[0] == watch.seen["averages"][-1]).all()


def test_a_checkpoint_after_it_has_the_averages(rng, tmp_path):
    model = made()
    watch = Watch()
    fit(model, rng, SwapEMAWeights(swap_on_epoch=True), watch,
        ModelCheckpoint(tmp_path / "{epoch}.ckpt", save_weights_only=True))
    sg.callbacks.load_weights(model, tmp_path / "2.ckpt")

    assert (model.get_weights()[0] == watch.seen["averages"][1]).all()


def test_evaluate_and_predict_have_the_averages_and_give_the_weights_back(rng):
    model = made()
    fit(model, rng)
    model.get_layer(index=0).weights[0].assign(np.zeros((4, 1)))
    model.get_layer(index=0).weights[1].assign(np.zeros(1))
    x = np.ones((2, 4), np.float32)

    assert (model.predict(x, callbacks=[SwapEMAWeights()], verbose=0) != 0).all()
    assert model.evaluate(x, np.zeros((2, 1)), callbacks=[SwapEMAWeights()], verbose=0) > 0
    assert (model.predict(x) == 0).all()


def test_an_optimizer_inside_another_is_found(rng):
    inner = sg.optimizers.SGD(0.1, use_ema=True)
    model = made(sg.optimizers.LossScaleOptimizer(inner))
    fit(model, rng, SwapEMAWeights())

    assert len(inner.averages) == 2


def test_without_averages_it_says_what_to_do(rng):
    with pytest.raises(sg.TrainingError, match="give it use_ema=True"):
        fit(made(sg.optimizers.SGD()), rng, SwapEMAWeights())


@pytest.mark.parametrize("hook", ["on_test_batch_end", "on_epoch_end"])
def test_an_interrupted_model_has_its_own_weights(hook, rng):
    watch = Watch()

    def interrupt(self, number, logs=None):
        raise KeyboardInterrupt

    model = made()
    with pytest.raises(KeyboardInterrupt):
        fit(model, rng, SwapEMAWeights(swap_on_epoch=True), watch, type("Interrupt", (Callback,), {hook: interrupt})())

    assert (model.get_weights()[0] == watch.seen["train"][-1]).all()


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_what_is_interrupted_gives_the_weights_back(method, rng):
    model = made()
    fit(model, rng, SwapEMAWeights())
    model.layers[0].kernel.assign(np.ones((4, 1)))

    def interrupt(self, number, logs=None):
        raise KeyboardInterrupt

    raising = type("Interrupt", (Callback,), {f"on_{method.replace('evaluate', 'test')}_batch_end": interrupt})()
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(np.ones((8, 4)), *([np.ones((8, 1))] if method == "evaluate" else []), verbose=0,
                               callbacks=[SwapEMAWeights(), raising])

    assert (model.get_weights()[0] == 1).all()
