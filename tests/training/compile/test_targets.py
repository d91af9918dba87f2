"""Targets that the losses do not take are said before anything runs: the output, what it got, what it expected."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import DtypeError, ShapeError, TrainingError
from symgraph.training.compiled_losses import CompiledLoss
from symgraph.training.targets import BLOCK, check_targets

SPARSE = "sparse_categorical_crossentropy"


def check(loss, y, out=(10,), **options):
    check_targets(CompiledLoss(loss, output_names=["digit"]), y, sg.Input(out), **options)


@pytest.mark.parametrize(("loss", "y", "out", "message"), [
    ("mse", np.zeros((5, 9)), (10,), "9.*10"),
    ("mse", np.zeros(5), (10,), r"targets of shape \(None,\) do not fit predictions of shape \(None, 10\)"),
    ("mse", np.zeros((5, 1)), (10,), r"\(None, 1\)"),
    ("binary_crossentropy", np.zeros((5, 2)), (1,), r"\(None, 2\).*\(None, 1\)"),
    ("categorical_crossentropy", np.zeros((5, 9)), (10,), "9.*10"),
    ("categorical_crossentropy", np.zeros(5, int), (10,), "for class numbers there is sparse_categorical_crossentropy"),
    ("categorical_crossentropy", np.zeros((5, 1), int), (10,), "for class numbers there is"),
    (SPARSE, np.zeros((5, 10)), (10,), "for one-hot targets there is categorical_crossentropy"),
    (SPARSE, np.zeros((5, 2), int), (10,), "one class number each"),
    (SPARSE, np.zeros((5, 6), int), (7, 10), r"expected labels of shape \(None, 7\)"),
    (sg.losses.CTC(), np.zeros(5, int), (7, 10), "needs labels"),
    (sg.losses.CosineSimilarity(), np.zeros((5, 9)), (10,), "9.*10"),
])
def test_shapes_that_do_not_fit(loss, y, out, message):
    with pytest.raises(ShapeError, match='output "digit": (.|\n)*' + message):
        check(loss, y, out)


@pytest.mark.parametrize(("y", "message"), [
    (np.array(["cat", "dog"]), "strings .*expected numbers; number the classes first"),
    (np.array([b"cat", b"dog"]), "strings"),
    (np.array(["cat", "dog"], object), "strings .*expected numbers; number the classes first"),
    (np.array([1, None]), "Python objects .*expected numbers"),
    (np.array(["2024-01-01"], "datetime64[D]"), "dates"),
    (np.array([1j, 2j]), "complex128, expected numbers"),
    (sg.tensor(["cat", "dog"]), "string, expected numbers"),
])
@pytest.mark.parametrize("loss", ["mse", SPARSE])
def test_targets_that_are_no_numbers(loss, y, message):
    with pytest.raises(DtypeError, match='output "digit": the targets are ' + message):
        check(loss, y)


@pytest.mark.parametrize(("loss", "y", "out", "message"), [
    (SPARSE, np.array([0, 9, 10, 11]), (10,), "target 10 in row 2 is no class; the 10 classes are 0 to 9$"),
    (SPARSE, np.array([[0], [9], [-1]]), (10,), "target -1 in row 2 is no class"),
    (SPARSE, np.array([0.0, 1.5]), (10,), "target 1.5 in row 1 is no class"),
    (SPARSE, np.array([0.0, np.nan]), (10,), "target nan in row 1 is no class"),
    (SPARSE, np.array([3, 300], np.uint16), (10,), "target 300 in row 1"),
    (SPARSE, np.array([[0, 1], [1, 5]]), (2, 5), r"target 5 in row 1 at \[1\] is no class; the 5 classes are 0 to 4"),
    (sg.losses.SparseCategoricalCrossentropy(ignore_class=-1), np.array([-1, 1, -2]), (10,),
     "target -2 in row 2 is no class; the 10 classes are 0 to 9, and -1 is ignored"),
    (sg.losses.SparseCategoricalCrossentropy(ignore_class=255), np.array([255, 1, 10], np.uint8), (10,),
     "target 10 in row 2"),
    (sg.losses.SparseCategoricalCrossentropy(axis=1), np.array([[0, 1], [3, 1]]), (3, 2),
     r"target 3 in row 1 at \[0\]"),
    (sg.losses.CategoricalGeneralizedCrossEntropy(), np.array([4, 10]), (10,), "target 10 in row 1"),
    (sg.losses.CTC(), np.array([[1, 2], [4, 5]]), (7, 5), r"target 5 in row 1 at \[1\]"),
    ("crossentropy", np.array([4, 10]), (10,), "target 10 in row 1"),
])
def test_class_numbers_that_are_none(loss, y, out, message):
    with pytest.raises(TrainingError, match='output "digit": ' + message):
        check(loss, y, out)


@pytest.mark.parametrize(("loss", "y", "out"), [
    ("mse", np.zeros((5, 10), int), (10,)),
    ("mse", np.zeros(5), (1,)),
    ("mse", np.zeros((5, 1)), ()),
    ("mse", np.full((5, 10), np.nan), (10,)),
    ("mse", np.zeros((5, 10), bool), (10,)),
    ("binary_crossentropy", np.array([-1.0, 0.3, 2.0]), (1,)),
    (SPARSE, np.arange(10), (10,)),
    (SPARSE, np.arange(10.0)[:, None], (10,)),
    (SPARSE, np.array([True, False]), (10,)),
    (SPARSE, np.zeros(0, int), (10,)),
    (SPARSE, sg.tensor([1, 2]), (10,)),
    (SPARSE, np.array([1, 99]), (None,)),
    (sg.losses.SparseCategoricalCrossentropy(ignore_class=-1), np.array([-1, 1, -1.0]), (10,)),
    (sg.losses.SparseCategoricalCrossentropy(ignore_class=255), np.array([255, 9], np.uint8), (10,)),
    (lambda y, p: sg.mean(p, -1) + sg.sum(y), np.zeros((5, 3)), (10,)),
])
def test_targets_that_fit_pass(loss, y, out):
    check(loss, y, out)


def test_the_first_bad_row_is_found_far_behind():
    y = np.zeros((BLOCK + 5, 1), np.int32)
    y[BLOCK + 2:] = 10

    with pytest.raises(TrainingError, match=f"target 10 in row {BLOCK + 2} is no class"):
        check(SPARSE, y)


def test_rows_that_lie_apart_in_memory_are_counted_as_rows():
    y = np.zeros((3, 4), int)
    y[0, 2] = 7

    with pytest.raises(TrainingError, match=r"target 7 in row 2 at \[0\]"):
        check(SPARSE, y.T, (3, 5))


def test_rows_of_a_batch_are_counted_from_the_beginning_of_the_data():
    with pytest.raises(TrainingError, match="target 10 in row 65"):
        check(SPARSE, np.array([0, 10]), first_row=64)


@pytest.mark.parametrize(("targets", "message"), [
    ({"a": np.zeros((4, 2))}, 'output "b" has a loss and no target'),
    ([np.zeros((4, 2)), np.array([0, 1, 3, 0])], 'output "b": target 3 in row 2 is no class; the 3 classes are 0 to 2'),
    ([np.zeros((4, 2))] * 3, "targets: got 3 for 2 outputs"),
])
def test_the_output_is_named_among_several(targets, message):
    losses = CompiledLoss(["mse", SPARSE], None, ["a", "b"])

    with pytest.raises(TrainingError, match=message):
        check_targets(losses, targets, [sg.Input((2,)), sg.Input((3,))])


def test_targets_of_an_output_without_loss_are_still_numbers():
    losses = CompiledLoss(["mse", None], None, ["a", "b"])

    with pytest.raises(DtypeError, match='output "b": the targets are strings'):
        check_targets(losses, [np.zeros((1, 2)), np.array(["x"])], [sg.Input((2,)), sg.Input((3,))])


def test_a_loss_of_your_own_is_not_called_to_check():
    def own(y_true, y_pred):
        raise AssertionError("called")

    check(own, np.zeros((5, 9)))


def test_a_loss_of_your_own_that_extends_one_of_ours_is_not_called_to_check():
    class Own(sg.losses.MeanSquaredError):
        def call(self, y_true, y_pred):
            raise AssertionError("called")

    check(Own(), np.zeros((5, 9)))


def test_shapes_are_judged_once_whatever_the_size_of_the_batch():
    losses = CompiledLoss(SPARSE)
    for count in (3, 4, 5):
        check_targets(losses, np.zeros(count, int), sg.Input((10,)))

    assert len(losses.fitting) == 1
    with pytest.raises(TrainingError, match="target 10 in row 1"):
        check_targets(losses, np.array([1, 10]), sg.Input((10,)))
