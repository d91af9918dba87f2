"""Quantisation, whose integers have no gradient of themselves, and whose scales do."""

import numpy as np

import symgraph as sg
from tests.autodiff.cases import Case, positive
from tests.autodiff.table_elementwise import onnx

NUMBERS = np.int8([[1, -2, 3], [4, 5, -128]])
OPEN = np.linspace(-1.2, 2.3, 6).reshape(2, 3)

CASES = [
    Case("DequantizeLinear", lambda s: onnx("DequantizeLinear")(NUMBERS, s), (np.array(0.5),), dtype="float32"),
    Case("DequantizeLinear of opset 10", lambda s: onnx("DequantizeLinear", 10)(NUMBERS, s, np.int8(3)),
         (np.array(0.5),), dtype="float32"),
    Case("DequantizeLinear along an axis", lambda s: onnx("DequantizeLinear")(NUMBERS, s, np.int8([1, 2, 3])),
         (positive(3),), dtype="float32"),
    Case("DequantizeLinear along the first axis", lambda s: onnx("DequantizeLinear", 13, axis=-2)(
        NUMBERS, s, np.int8([1, 2])), (positive(2),), dtype="float32"),
    Case("DequantizeLinear in blocks", lambda s: onnx("DequantizeLinear", axis=1, block_size=2)(NUMBERS, s),
         (positive(2, 2),), dtype="float32"),
    Case("DequantizeLinear in blocks of zeros", lambda s: onnx("DequantizeLinear", axis=0, block_size=2)(
        NUMBERS, s, np.int8([[1, 2, 3]])), (positive(1, 3),), dtype="float32"),
    Case("QuantizeLinear", lambda x, s: onnx("DequantizeLinear")(onnx("QuantizeLinear")(x, np.float32(0.1)), s),
         (OPEN, np.array(0.5)), dtype="float32", order=1),
    Case("DynamicQuantizeLinear", lambda x: sg.ops.onnx("DynamicQuantizeLinear", x, outputs=3)[1] * 100.0, (OPEN,),
         dtype="float32", order=1),
]
