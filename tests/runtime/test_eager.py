"""Ops on values: one-node sessions that are kept, threads, errors at the user's line, fallbacks that are seen."""

import subprocess
import sys
import threading
import warnings

import ml_dtypes
import numpy as np
import pytest

import symgraph as sg
from symgraph.core.apply import apply_op, placeholder
from symgraph.core.composite import apply_composite
from symgraph.core.errors import OpError, ResourceError
from symgraph.core.types import TensorType
from symgraph.runtime import KernelFallbackWarning, eager, fallbacks, profile, time

float32 = np.float32


def test_the_result_is_a_tensor_that_owns_its_memory():
    a = np.ones((2, 3), float32)

    for name in ("Identity", "Flatten", "Squeeze"):
        result = apply_op(name, sg.tensor(a))
        assert isinstance(result, sg.Tensor) and not result.numpy().flags.writeable
        assert not np.shares_memory(result.numpy(), a)


def test_a_scalar_result_is_an_array_without_dimensions():
    result = apply_op("Add", float32(1), float32(2)).numpy()

    assert isinstance(result, np.ndarray) and result.shape == () and result == 3


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 1), (2, 0, 3)])
def test_any_shape_runs_in_one_kernel(shape, rng):
    x = rng.random(shape, dtype=float32)
    apply_op("Neg", float32(1))
    before = len(eager._KERNELS)

    np.testing.assert_array_equal(apply_op("Neg", x).numpy(), -x)
    assert len(eager._KERNELS) == before


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"])
def test_dtypes_that_numpy_lacks_go_in_and_out(name):
    x = np.array([[1, 0, 2], [3, 1, 0]]).astype(getattr(ml_dtypes, name))

    result = apply_op("Transpose", x)

    assert result.dtype == name
    np.testing.assert_array_equal(result.numpy().astype(float32), x.astype(float32).T)


def test_strings_and_lists_of_tensors_come_out():
    assert apply_op("StringConcat", np.array(["a"]), np.array(["b"])).tolist() == ["ab"]
    (only,) = apply_op("SequenceConstruct", sg.tensor([1.0]))
    assert isinstance(only, sg.Tensor) and only.tolist() == [1.0]


def test_variables_are_operands_as_they_are_now():
    v = sg.Variable([1.0, 2.0])
    before = apply_op("Add", v, v)
    v.assign([5.0, 5.0])

    assert before.tolist() == [2.0, 4.0] and apply_op("Add", v, v).tolist() == [10.0, 10.0]


def test_absent_inputs_and_unwanted_outputs_are_left_out():
    x = sg.tensor([[1.0, 5.0, 3.0]])

    clipped = apply_op("Clip", x, None, sg.tensor(4.0))
    values, indices = apply_op("TopK", x, np.array([2]), outputs=(False, True))

    assert clipped.tolist() == [[1.0, 4.0, 3.0]]
    assert values is None and indices.tolist() == [[1, 2]]


@pytest.mark.parametrize(("name", "arrays", "attributes", "reason"), [
    ("Div", [np.int32([1]), np.int32([0])], {}, r"Div\(A: int32\[1\], B: int32\[1\]\): integer division by zero"),
    ("Gather", [np.ones((2, 3), float32), np.array([7])], {}, "out of data bounds, idx=7"),
    ("Reshape", [np.ones((2, 3), float32), np.array([4])], {}, r"Input shape:\{2,3\}, requested shape:\{4\}"),
    ("Add", [np.ones((2, 3), float32), np.ones(4, float32)], {}, r"float32\[2, 3\].*float32\[4\].*incompatible"),
    ("Concat", [np.ones((2, 3), float32), np.ones((1, 2), float32)], {"axis": 0}, r"Concat\("),
    ("Slice", [np.ones(2, float32), *map(np.array, ([0], [1], [0], [0]))], {}, "step")])
def test_an_error_names_op_operands_reason_and_line(name, arrays, attributes, reason):
    with pytest.raises(OpError, match=reason) as caught:
        apply_op(name, *arrays, **attributes)

    text = str(caught.value)
    assert "test_eager.py:" in text
    assert "ONNXRuntimeError" not in text and "Status Message" not in text and ".cc:" not in text and ".h:" not in text


def test_the_wrong_number_of_inputs_is_an_error():
    with pytest.raises(OpError, match="takes 2 inputs, got 1"):
        apply_op("Add", sg.tensor(1.0))


@pytest.mark.parametrize(("name", "arrays"), [
    ("ConstantOfShape", [np.array([1 << 40])]),
    ("Expand", [np.ones((1, 1), float32), np.array([1 << 20, 1 << 20])]),
    ("Tile", [np.ones((1, 1), float32), np.array([1 << 20, 1 << 20])]),
    ("Range", [np.array(0), np.array(1 << 45), np.array(1)])])
def test_a_result_larger_than_memory_is_a_resource_error(name, arrays):
    with pytest.raises(ResourceError, match=f"{name}.*memory"):
        apply_op(name, *arrays)


def test_a_fallback_warns_once_and_is_counted(rng):
    x, w = rng.random((1, 1, 4, 4)), rng.random((1, 1, 2, 2))
    eager._FALLBACKS.pop("Conv(float64, float64)", None)
    expected = sum(w[0, 0, i, j] * x[:, :, i:i + 3, j:j + 3] for i in range(2) for j in range(2))

    with pytest.warns(KernelFallbackWarning, match=r"no kernel for Conv\(float64, float64\)") as seen:
        for key in [k for k, kernel in eager._KERNELS.items() if kernel.graph.name == "Conv"]:
            del eager._KERNELS[key]
        result = apply_op("Conv", x, w)
    apply_op("Conv", x, w)

    assert seen[0].filename == __file__
    assert fallbacks()["Conv(float64, float64)"] == 2
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-12)


def test_large_inputs_give_the_bits_of_small_ones(rng):
    x = rng.random((300, 400), dtype=float32)

    for name in ("Tanh", "Softmax"):
        whole = apply_op(name, x).numpy()
        np.testing.assert_array_equal(whole, np.concatenate([apply_op(name, row).numpy() for row in np.split(x, 10)]))


def test_threads_may_run_and_compile_at_the_same_time(rng):
    x = sg.tensor(rng.random((8, 8), dtype=float32))
    results, eager_names = [], ["Sin", "Cos", "Tan", "Atan", "Sinh"]

    def work():
        results.append([apply_op(name, x).numpy() for name in eager_names for _ in range(20)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 8
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_the_oldest_kernels_go_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(eager, "_KERNELS", {})
    monkeypatch.setattr(eager, "MAX_KERNELS", 3)

    for axis in range(5):
        apply_op("Concat", np.ones((1,) * 5, float32), axis=axis)

    assert len(eager._KERNELS) == 3


def test_a_composite_runs_as_one_kernel():
    def mean_square(x):
        return apply_op("ReduceMean", apply_op("Mul", x, x))

    before = len(eager._KERNELS)

    assert apply_composite("MeanSquare", mean_square, sg.tensor([[1.0, 2.0, 3.0]])).item() == pytest.approx(14 / 3)
    assert apply_composite("MeanSquare", mean_square, sg.tensor([[2.0]])).item() == 4
    assert len(eager._KERNELS) == before + 1


def test_a_composite_without_all_kernels_runs_op_by_op():
    def erf_twice(x):
        return apply_op("Erf", apply_op("Erf", x))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KernelFallbackWarning)
        result = apply_composite("ErfTwice", erf_twice, np.array([0.5]))

    assert result.item() == pytest.approx(0.53838, abs=1e-4) and result.dtype == "float64"


def test_profile_lists_ops_and_what_they_add():
    a = sg.tensor([[1.0, 2.0]])

    found = profile(lambda: apply_op("Mul", apply_op("Neg", a), a))

    assert found.result.tolist() == [[-1.0, -4.0]]
    assert found.kernel_names == ("Neg", "Mul") and found.new_tensors == 1 and found.new_bytes == 8
    assert found.peak_bytes >= sg.memory().num_bytes + 8 and found.kernels[0].input_shapes == ((1, 2),)
    assert time(lambda: apply_op("Neg", a)).wall_ms < 1000


QUIET = """
import numpy as np, symgraph as sg
from symgraph.core.apply import apply_op, symbol
from symgraph.core.graph import Graph
from symgraph.runtime import Session
def fails(function):
    try:
        function()
    except sg.core.errors.SymgraphError:
        return
    raise AssertionError
fails(lambda: apply_op("Div", np.int32([1]), np.int32([0])))
x = symbol((None,), "int32", "x")
s = Session(Graph([x], [apply_op("Div", 1, x)]))
fails(lambda: s.run({"x": np.int32([0])}))
fails(lambda: s.run({"x": np.int32([0])}, timeout=5))
import onnxruntime
theirs = onnxruntime.InferenceSession(apply_op_model := sg.runtime.exporter.to_model(s.graph).model.SerializeToString())
assert theirs.run(None, {"x": np.int32([2])})[0] == 0
"""


def test_nothing_is_printed_and_the_users_own_sessions_still_work():
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_onnxruntime_is_not_imported_before_it_is_used():
    code = "import symgraph, sys; print('onnxruntime' in sys.modules, 'onnx.reference' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout.split() == ["False", "False"], done.stderr


def test_placeholders_have_no_values_to_run_on():
    assert isinstance(apply_op("Neg", placeholder(TensorType("float32", (2,)))), sg.SymbolicTensor)
