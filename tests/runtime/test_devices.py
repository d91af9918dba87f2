"""Devices and providers: what there is, and errors that list it."""

import threading
from importlib import metadata

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.apply import apply_op, symbol
from symgraph.core.errors import MissingDependencyError, ProviderError
from symgraph.core.graph import Graph
from symgraph.runtime import Session, config, device, devices, ort
from symgraph.runtime.devices import PhysicalDevice, current_device, parse_device, resolve_providers


def has_gpu():
    return bool(config.list_physical_devices("GPU"))


def test_the_cpu_is_always_there():
    assert config.list_physical_devices()[0] == PhysicalDevice("/physical_device:CPU:0", "CPU")
    assert config.list_physical_devices("cpu") == [PhysicalDevice("/physical_device:CPU:0", "CPU")]


@pytest.mark.parametrize("name", ["CPU:0", "cpu", "/device:CPU:0", "/physical_device:CPU:0", "cpu:0"])
def test_spellings_of_the_cpu(name):
    assert str(parse_device(name)) == "CPU:0"


@pytest.mark.parametrize("name", ["GPU:99", "TPU", "", "CPU:7"])
def test_an_absent_device_lists_those_there_are(name):
    with pytest.raises(ProviderError, match=f"no device {name!r}.*CPU:0"), device(name):
        pass


def test_results_say_where_they_lie():
    with device("CPU:0"):
        assert apply_op("Neg", sg.tensor([1.0])).device == "CPU:0"


def test_a_scope_ends_and_belongs_to_its_thread(monkeypatch):
    monkeypatch.setattr(devices, "_count_gpus", lambda: 1)
    seen = []

    with device("GPU:0"):
        assert str(current_device()) == "GPU:0"
        thread = threading.Thread(target=lambda: seen.append(str(current_device())))
        thread.start()
        thread.join()

    assert seen == ["CPU:0"] and str(current_device()) == "CPU:0"


@pytest.mark.parametrize("given", ["cpu", "CPUExecutionProvider", ["cpu"], None])
def test_spellings_of_a_provider(given):
    assert resolve_providers(given) == ["CPUExecutionProvider"]


def test_options_of_a_provider_are_kept_and_the_cpu_comes_last():
    assert resolve_providers(("azure", {"a": "b"}), fallback=True)[-1] == "CPUExecutionProvider"
    assert resolve_providers([("cpu", {"arena": "1"})]) == [("CPUExecutionProvider", {"arena": "1"})]


@pytest.mark.parametrize("name", ["cuda", "CUDAExecutionProvider", "NoSuchProvider"])
def test_a_provider_that_is_not_there_is_an_error_unless_falling_back(name, capfd):
    if has_gpu() and name != "NoSuchProvider":
        pytest.skip("there is a GPU")
    x = symbol((None,), name="x")
    graph = Graph([x], [apply_op("Neg", x)])

    with pytest.raises(ProviderError, match=f"{name}.*CPUExecutionProvider.*fallback=True"):
        Session(graph, name)

    assert Session(graph, name, fallback=True).run({"x": [1.0]})[0].tolist() == [-1.0]
    assert capfd.readouterr() == ("", "")


def test_a_provider_that_did_not_start_is_an_error():
    class Native:
        def get_providers(self):
            return ["CPUExecutionProvider"]

    asked = [("CUDAExecutionProvider", {"device_id": 0}), "CPUExecutionProvider"]

    with pytest.raises(ProviderError, match="CUDAExecutionProvider did not start"):
        devices.check_providers(Native(), asked, fallback=False)
    devices.check_providers(Native(), asked, fallback=True)


def test_values_in_device_memory_are_tensors(rng):
    """The path of a GPU, on the memory of the CPU."""
    from symgraph.runtime import eager

    where = devices.Device("CPU", 0)
    a = sg.tensor(rng.random((2, 3), dtype=np.float32))
    op = sg.core.op.find_op("Add")

    (twice,) = eager._evaluate_on(where, op, (a, a), {}, (True,))
    (four,) = eager._evaluate_on(where, op, (twice, twice), {}, (True,))

    assert isinstance(twice.buffer, devices.Buffer) and four.device == "CPU:0" and four.shape == (2, 3)
    np.testing.assert_array_equal(four.numpy(), 4 * a.numpy())
    np.testing.assert_array_equal(apply_op("Neg", four).numpy(), -4 * a.numpy())


def test_two_onnxruntimes_are_an_error_that_says_what_to_uninstall(monkeypatch):
    ort.onnxruntime.cache_clear()
    monkeypatch.setattr(metadata, "version", lambda name: {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.30.0"}[name]
                        if name in ("onnxruntime", "onnxruntime-gpu") else _absent(name))

    with pytest.raises(MissingDependencyError, match=r"onnxruntime 1.31.1 and onnxruntime-gpu 1.30.0.*pip uninstall"):
        ort.onnxruntime()


def _absent(name):
    raise metadata.PackageNotFoundError(name)


def test_a_missing_onnxruntime_is_one_line(monkeypatch):
    import sys

    ort.onnxruntime.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(MissingDependencyError, match=r"pip install 'symgraph\[cpu\]'") as caught:
        ort.onnxruntime()
    assert "\n" not in str(caught.value)
