"""The official ONNX test cases of the installed onnx package, and how one is run and compared."""

import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, TypeProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

from symgraph.core.types import type_from_proto
from symgraph.runtime.feeds import bare_run

DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training")
KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")
UNSUPPORTED = Path(__file__).with_name("unsupported.txt")


@dataclass
class Case:
    """A model with inputs and expected outputs."""

    name: str
    model: ModelProto
    rtol: float
    atol: float
    data: list = field(default_factory=list)
    folder: Path | None = None

    def data_sets(self) -> Iterator[tuple[list, list]]:
        """Inputs and outputs, from memory or from the case's folder."""
        if self.folder is None:
            for inputs, outputs in self.data:
                yield [_plain(x) for x in inputs], [_plain(x) for x in outputs]
            return
        for folder in sorted(self.folder.glob("test_data_set*")):
            yield (_stored(folder, "input", [x.type for x in self.model.graph.input]),
                   _stored(folder, "output", [x.type for x in self.model.graph.output]))


def _plain(value):
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, onnx.SequenceProto):
        return numpy_helper.to_list(value)
    if isinstance(value, onnx.OptionalProto):
        return numpy_helper.to_optional(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def _stored(folder: Path, kind: str, types: list[TypeProto]) -> list:
    values = []
    for index, value_type in enumerate(types):
        path = folder / f"{kind}_{index}.pb"
        if not path.exists():
            break
        reader = {"sequence_type": onnx.SequenceProto, "optional_type": onnx.OptionalProto}.get(
            value_type.WhichOneof("value"), onnx.TensorProto)
        values.append(_plain(reader.FromString(path.read_bytes())))
    return values


@functools.cache
def cases(kind: str) -> tuple[Case, ...]:
    """All cases of a kind, sorted by name."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = load_model_tests(kind=kind)
    result = []
    for case in sorted(found, key=lambda case: case.name):
        folder = None if case.model_dir is None else Path(case.model_dir)
        model = case.model if folder is None else onnx.load(folder / "model.onnx")
        result.append(Case(case.name, model, case.rtol, case.atol, case.data_sets or [], folder))
    return tuple(result)


def unsupported() -> dict[str, str]:
    """Case -> why ONNX Runtime alone cannot pass it."""
    lines = UNSUPPORTED.read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))


def run(model: ModelProto, case: Case) -> None:
    """Run a model on a case's data with ONNX Runtime alone, and compare with what the case expects."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    weights = {x.name for x in case.model.graph.initializer}
    names = [x.name for x in case.model.graph.input if x.name not in weights]
    outputs_wanted = [x.name for x in case.model.graph.output]
    run_names = bare_run(session, [type_from_proto(x.type) for x in case.model.graph.output])
    for inputs, expected in case.data_sets():
        outputs = run_names(outputs_wanted, dict(zip(names, inputs, strict=False)), None)
        assert len(outputs) == len(expected), f"{len(outputs)} outputs, expected {len(expected)}"
        for found, wanted in zip(outputs, expected, strict=True):
            compare(found, wanted, case.rtol, case.atol)


def compare(found, wanted, rtol: float, atol: float) -> None:
    """See that two values agree as the official runner asks for."""
    if isinstance(wanted, list | tuple):
        assert isinstance(found, list | tuple) and len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            compare(a, b, rtol, atol)
        return
    if wanted is None or found is None:
        assert wanted is None and found is None
        return
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape, f"shape {found.shape}, expected {wanted.shape}"
    if wanted.dtype.kind in "OUS":
        np.testing.assert_array_equal(found.astype(str), wanted.astype(str))
        return
    assert found.dtype == wanted.dtype, f"dtype {found.dtype}, expected {wanted.dtype}"
    if wanted.dtype == "bfloat16":
        rtol = max(rtol, 2**-6)
    if wanted.dtype.isbuiltin != 1:
        found, wanted = found.astype(np.float32), wanted.astype(np.float32)
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


def versions() -> tuple[str, str]:
    """The versions of onnx and ONNX Runtime that the list of unsupported cases was made with."""
    words = UNSUPPORTED.read_text().splitlines()[0].replace(",", "").split()
    return words[2], words[5]
