"""The progress bar: what is on the line, when it is drawn, and what it does not claim to know."""

import io
import re
from types import SimpleNamespace

import numpy as np
import pytest

import symgraph as sg
from symgraph.training import progress_bar
from symgraph.training.callbacks import CallbackList, LambdaCallback, Logs, ProgbarLogger
from symgraph.training.progress_bar import Progbar


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True

    @property
    def lines(self):
        """What the lines looked like, each time they were drawn."""
        return [re.sub(r" +$", "", line) for line in re.split(r"[\r\n]+", self.getvalue()) if line]


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on only when told to."""
    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress_bar, "time", clock)
    return clock


def written_to(stdout, monkeypatch):
    """Let the bar write there; pytest itself changes sys.stdout between fixtures and tests."""
    monkeypatch.setattr(progress_bar, "sys", SimpleNamespace(stdout=stdout, modules={}))
    monkeypatch.setenv("COLUMNS", "100")
    return stdout


@pytest.fixture
def terminal(monkeypatch):
    return written_to(Terminal(), monkeypatch)


@pytest.fixture
def pipe(monkeypatch):
    return written_to(io.StringIO(), monkeypatch)


def steps(bar, clock, seconds, values=None):
    for step, duration in enumerate(seconds, 1):
        clock.now += duration
        bar.update(step, values)


def test_the_line_has_steps_bar_time_left_time_of_a_step_and_metrics(clock, terminal):
    steps(Progbar(4, width=8), clock, [5, 2, 2, 2], [("loss", 0.5)])

    assert terminal.lines == [
        "1/4 ━━────── 5s/step - loss: 0.5000",
        "2/4 ━━━━──── 4s 2s/step - loss: 0.5000",
        "3/4 ━━━━━━── 2s 2s/step - loss: 0.5000",
        "4/4 ━━━━━━━━ 11s 2s/step - loss: 0.5000",
    ]


def test_the_time_left_goes_by_the_steps_drawn_last(clock, terminal):
    bar = Progbar(300)
    steps(bar, clock, [1] * 10 + [4] * 100)

    assert terminal.lines[-1].split()[2:] == ["12:40", "4s/step"]


@pytest.mark.parametrize("seconds, text", [
    (0.5, "0s 500ms/step"), (1.0, "1s 1s/step"), (59, "59s 59s/step"), (61, "1:01 61s/step"),
    (3600, "1:00:00 3600s/step"), (3723, "1:02:03 3723s/step"), (1e-3, "0s 1ms/step"), (2.5e-5, "0s 25us/step"),
])
def test_times_are_written_short(seconds, text, clock, terminal):
    steps(Progbar(3, interval=0), clock, [0, seconds])

    assert terminal.lines[-1].endswith(f" {text}")


def test_without_a_target_no_bar_and_no_time_left_are_shown(clock, terminal):
    steps(Progbar(None), clock, [1, 1])

    assert terminal.lines == ["      1/Unknown 1s 1s/step", "      2/Unknown 2s 1s/step"]


def test_it_is_drawn_at_most_once_an_interval(clock, terminal):
    steps(Progbar(1000, interval=0.1), clock, [0.001] * 999)

    assert 9 <= len(terminal.lines) <= 11


def test_a_shorter_line_covers_the_longer_one(clock, terminal):
    bar = Progbar(3, interval=0)
    bar.update(1, [("loss", 100000.0)])
    bar.update(2)
    first, second = terminal.getvalue().split("\r")[1:]
    bar._sums.clear()
    bar.update(2)

    assert len(terminal.getvalue().split("\r")[-1]) == len(second) >= len(first)


def test_a_line_longer_than_the_terminal_is_cut_until_it_is_the_last(clock, terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    bar = Progbar(2, interval=0)
    values = [(f"metric_{i}", 0.5) for i in range(10)]
    bar.update(1, values)
    bar.update(2, values)

    assert len(terminal.lines[0]) == 39
    assert len(terminal.lines[1]) > 200


@pytest.mark.parametrize("value, text", [
    (0.5, "0.5000"), (12345.678, "12345.6780"), (1e-3, "1.0000e-03"), (-2e-5, "-2.0000e-05"), (0, "0.0000e+00"),
    (float("nan"), "nan"), (float("inf"), "inf"), (np.float32(0.25), "0.2500"), (np.array([1.0, 2.0]), "1.5000"),
    ("text", "text"), (None, "None"),
])
def test_numbers_have_four_decimals_small_ones_an_exponent(value, text, pipe):
    Progbar(1).update(1, [("x", value)])

    assert pipe.getvalue().rstrip().endswith(f" - x: {text}")


def test_metrics_are_means_over_steps_unless_they_are_stateful(clock, terminal):
    bar = Progbar(9, interval=0, stateful_metrics=["as_is"])
    bar.update(1, [("mean", 1.0), ("as_is", 1.0)])
    bar.update(4, [("mean", 2.0), ("as_is", 2.0)])

    assert terminal.lines[-1].endswith("mean: 1.7500 - as_is: 2.0000")


def test_only_stateless_metrics_are_means_where_they_are_named(clock, terminal):
    bar = Progbar(9, interval=0, stateless_metrics=["mean"])
    bar.add(1, [("mean", 1.0), ("as_is", 1.0)])
    bar.add(1, [("mean", 2.0), ("as_is", 2.0)])

    assert terminal.lines[-1].endswith("mean: 1.5000 - as_is: 2.0000")


def test_verbose_2_prints_one_line_at_the_end(clock, terminal):
    steps(Progbar(2, verbose=2), clock, [3, 1], [("loss", 0.25)])

    assert terminal.getvalue() == "2/2 - 4s - 1s/step - loss: 0.2500\n"


def test_verbose_0_prints_nothing(clock, terminal):
    steps(Progbar(2, verbose=0), clock, [3, 1], [("loss", 0.25)])

    assert terminal.getvalue() == ""


def test_what_is_no_terminal_gets_one_line_and_no_carriage_return(clock, pipe):
    steps(Progbar(3), clock, [3, 1, 1], [("loss", 0.25)])

    assert pipe.getvalue() == "3/3 - 5s - 1s/step - loss: 0.2500\n"


def test_an_encoding_without_the_bar_gets_a_plain_one(clock, terminal):
    terminal.encoding = "ascii"
    steps(Progbar(2, width=4), clock, [1])

    assert terminal.lines == ["1/2 ==.. 1s/step"]


@pytest.mark.parametrize("arguments", [{"stateful_metrics": [], "stateless_metrics": []}, {"target": -1}])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(sg.TrainingError, match="Progbar"):
        Progbar(**{"target": 1, **arguments})


# The callback.

def fit(verbose, epochs=2, count=3, others=(), validate=False, target=True):
    callbacks = CallbackList([*others, ProgbarLogger()], verbose=verbose, epochs=epochs,
                             steps=count if target else None)
    callbacks.on_train_begin()
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        for batch in range(count):
            callbacks.on_train_batch_begin(batch)
            callbacks.on_train_batch_end(batch, Logs(lambda: {"loss": 1.0}, ["loss"]))
        if validate:
            callbacks.on_test_begin()
            callbacks.on_test_batch_end(0, {"loss": 7.0})
            callbacks.on_test_end({"loss": 7.0})
        callbacks.on_epoch_end(epoch, {"loss": 0.5, "val_loss": 0.75})
    callbacks.on_train_end()
    return callbacks


LINE = r" - loss: 0\.5000 - val_loss: 0\.7500"


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_outside_of_a_terminal_fit_prints_a_line_an_epoch(verbose, pipe):
    fit(verbose, validate=True)

    assert re.fullmatch(rf"Epoch 1/2\n3/3 - 0s - \d+us/step{LINE}\nEpoch 2/2\n3/3 - 0s - \d+us/step{LINE}\n",
                        pipe.getvalue())


def test_one_epoch_has_no_heading(pipe):
    fit(2, epochs=1)

    assert pipe.getvalue().startswith("3/3 - ")


def test_silent_fit_prints_nothing(pipe):
    fit(0)

    assert pipe.getvalue() == ""


def test_on_a_terminal_fit_draws_a_bar_that_ends_with_the_validation(terminal):
    fit(1, epochs=1, validate=True)

    assert terminal.lines[0].startswith("1/3 ━━━━━━──────────────")
    assert re.search(rf"3/3 ━{{20}} 0s \d+us/step{LINE}$", terminal.lines[-1])


@pytest.mark.parametrize("verbose, on_terminal, listens", [
    (1, True, True), ("auto", True, True), (2, True, False), (0, True, False), (1, False, False)])
def test_batches_are_looked_at_only_where_a_bar_is_drawn(verbose, on_terminal, listens, monkeypatch):
    written_to(Terminal() if on_terminal else io.StringIO(), monkeypatch)
    callbacks = CallbackList([ProgbarLogger()], verbose=verbose, epochs=1, steps=3)

    assert callbacks.uses("on_train_batch_end") is listens


def test_logs_are_read_only_when_the_bar_is_drawn(clock, terminal):
    reads = []
    callbacks = CallbackList([ProgbarLogger()], verbose=1, epochs=1, steps=1000)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    for batch in range(500):
        clock.now += 0.01
        callbacks.on_train_batch_end(batch, Logs(lambda: reads.append(1) or {"loss": 1.0}, ["loss"]))

    assert 40 <= len(reads) <= 51


def test_steps_are_counted_in_the_first_epoch_where_nobody_knows_how_many(pipe):
    callbacks = fit(2, target=False)

    assert [line.split(" - ")[0] for line in pipe.getvalue().splitlines()[1::2]] == ["3/3", "3/3"]
    assert callbacks.callbacks[0].target == 3


def test_an_epoch_that_was_left_early_says_how_far_it_came(pipe):
    callbacks = CallbackList([LambdaCallback(on_train_batch_end=lambda batch, logs: None), ProgbarLogger()], verbose=2,
                             epochs=1, steps=10)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    callbacks.on_train_batch_end(3, {})
    callbacks.on_epoch_end(0, {"loss": 0.5})

    assert pipe.getvalue().startswith(" 4/10 - ")


def test_validation_does_not_count_for_the_time_of_a_step(clock, pipe):
    callbacks = CallbackList([ProgbarLogger()], verbose=2, epochs=1, steps=2)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    clock.now += 4.0
    callbacks.on_test_begin()
    clock.now += 100.0
    callbacks.on_test_end({})
    callbacks.on_epoch_end(0, {})

    assert pipe.getvalue() == "2/2 - 104s - 2s/step\n"


@pytest.mark.parametrize("verbose, text", [("auto", ""), (1, "2/2 - 0s - ")])
def test_predict_says_nothing_outside_of_a_terminal_unless_asked(verbose, text, pipe):
    callbacks = CallbackList([ProgbarLogger()], verbose=verbose, epochs=1, steps=2)
    callbacks.on_predict_begin()
    callbacks.on_predict_batch_end(1, {"outputs": np.ones(3)})
    callbacks.on_predict_end()

    assert pipe.getvalue().startswith(text) and bool(pipe.getvalue()) == bool(text)


@pytest.mark.parametrize("verbose", ["yes", 3, None])
def test_another_verbose_is_refused(verbose):
    with pytest.raises(sg.TrainingError, match="verbose must be"):
        CallbackList([ProgbarLogger()], verbose=verbose)
