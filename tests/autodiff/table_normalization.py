"""Normalisations, the softmax family, and losses."""

import numpy as np

import symgraph as sg
from symgraph.core.apply import apply_op
from symgraph.core.op import find_op
from tests.autodiff.cases import Case, normal, positive

onnx = sg.ops.onnx
LABELS = np.array([[0, 2], [3, 1]], np.int64)


def batch_training(x, scale, bias, mean, variance):
    return onnx("BatchNormalization", x, scale, bias, mean, variance, outputs=3, training_mode=1, momentum=0.7)


def old(name, opset, **attributes):
    return lambda x: apply_op(find_op(name, "", opset), x, **attributes)


def loss(name, **attributes):
    return lambda x, w: onnx(name, x, LABELS, w, **attributes)


CASES = [
    Case("softmax", lambda x: sg.softmax(x), (normal(2, 3),), order=3),
    Case("softmax axis 0", lambda x: sg.softmax(x, axis=0), (normal(2, 3),)),
    Case("softmax 11", old("Softmax", 11, axis=1), (normal(2, 3, 2),)),
    Case("softmax 1 axis 0", old("Softmax", 7, axis=0), (normal(2, 3),)),
    Case("log softmax", lambda x: sg.log_softmax(x), (normal(2, 3),), order=3),
    Case("log softmax 11", old("LogSoftmax", 11), (normal(2, 2, 2),)),
    Case("nll mean", loss("NegativeLogLikelihoodLoss"), (normal(2, 4, 2), positive(4))),
    Case("nll sum", loss("NegativeLogLikelihoodLoss", reduction="sum", ignore_index=2), (normal(2, 4, 2), positive(4))),
    Case("nll none", loss("NegativeLogLikelihoodLoss", reduction="none"), (normal(2, 4, 2), positive(4))),
    Case("nll without weights", lambda x: onnx("NegativeLogLikelihoodLoss", x, LABELS), (normal(2, 4, 2),)),
    Case("nll ignoring some", lambda x: onnx("NegativeLogLikelihoodLoss", x, LABELS - 3, ignore_index=-3),
         (normal(2, 4, 2),)),
    Case("cross entropy", loss("SoftmaxCrossEntropyLoss"), (normal(2, 4, 2), positive(4))),
    Case("cross entropy none", loss("SoftmaxCrossEntropyLoss", reduction="none"), (normal(2, 4, 2), positive(4))),
    Case("cross entropy with log p", lambda x: onnx("SoftmaxCrossEntropyLoss", x, LABELS, outputs=2, reduction="sum"),
         (normal(2, 4, 2),)),
    Case("batch norm", lambda *xs: onnx("BatchNormalization", *xs, epsilon=1e-3),
         (normal(3, 2, 2), normal(2), normal(2, seed=1), normal(2, seed=2), positive(2))),
    Case("batch norm of vectors", lambda *xs: onnx("BatchNormalization", *xs),
         (normal(3, 2), normal(2), normal(2, seed=1), normal(2, seed=2), positive(2))),
    Case("batch norm in training", batch_training,
         (normal(3, 2, 2), normal(2), normal(2, seed=1), normal(2, seed=2), positive(2))),
    Case("batch norm 9", lambda *xs: apply_op(find_op("BatchNormalization", "", 9), *xs),
         (normal(3, 2, 2), normal(2), normal(2, seed=1), normal(2, seed=2), positive(2))),
    Case("batch_normalization", lambda *xs: sg.batch_normalization(*xs, axis=-1),
         (normal(3, 2, 2), normal(2), positive(2))),
    Case("layer norm", lambda x, w, b: onnx("LayerNormalization", x, w, b, axis=1),
         (normal(2, 3, 2), normal(3, 2), normal(3, 2, seed=1))),
    Case("layer norm, all outputs", lambda x, w: onnx("LayerNormalization", x, w, outputs=3), (normal(2, 4), normal(4)),
         dtype="float32"),
    Case("layer_normalization", lambda x, w, b: sg.layer_normalization(x, w, b), (normal(2, 4), normal(4), normal(4))),
    Case("rms norm", lambda x, w: sg.rms_normalization(x, w), (normal(2, 4), normal(4))),
    Case("RMSNormalization", lambda x, w: onnx("RMSNormalization", x, w), (normal(2, 4), normal(4))),
    Case("instance norm", lambda x, w, b: onnx("InstanceNormalization", x, w, b),
         (normal(2, 2, 3), normal(2), normal(2))),
    Case("group norm", lambda x, w, b: onnx("GroupNormalization", x, w, b, num_groups=2),
         (normal(2, 4, 3), normal(4), normal(4, seed=1)), dtype="float32"),
    Case("mean variance norm", lambda x: onnx("MeanVarianceNormalization", x), (normal(2, 2, 2, 2),), dtype="float32"),
    Case("local response norm", lambda x: onnx("LRN", x, size=3, alpha=0.5, bias=2.0), (normal(1, 4, 2, 1),),
         dtype="float32"),
    Case("lp norm 2", lambda x: onnx("LpNormalization", x, axis=0), (normal(3, 2),)),
    Case("lp norm 1", lambda x: onnx("LpNormalization", x, p=1), (normal(3, 2),)),
    Case("normalize", lambda x: sg.normalize(x), (normal(2, 3),)),
]
