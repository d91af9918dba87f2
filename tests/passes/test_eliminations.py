import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.ops import onnx
from symgraph.passes.extent import Extent
from symgraph.passes.fold_shapes import fold_shapes
from symgraph.passes.inline_branches import inline_branches
from symgraph.passes.known_shapes import KnownShapes
from symgraph.passes.merge_pads import merge_pads
from symgraph.passes.merge_reshapes import merge_reshapes
from symgraph.passes.merge_slices import merge_slices
from symgraph.passes.remove_casts import remove_casts

PASSES = (passes.remove_identity, remove_casts, passes.fold_constants, inline_branches, fold_shapes, merge_slices,
          merge_pads, merge_reshapes, passes.share_common_subexpressions)
FAR = 2**63 - 1


def names(graph):
    return [node.op.name for node in graph.nodes]


def shape(x, *indices):
    """Sizes of x as exporters write them: Shape, Gather of a scalar, Unsqueeze, one by one."""
    return [onnx("Unsqueeze", onnx("Gather", onnx("Shape", x), np.int64(i)), [0]) for i in indices]


def joined(*sizes):
    return onnx("Concat", *(np.int64([s]) if isinstance(s, int) else s for s in sizes), axis=0)


def cut(x, start, end, axis, step=1):
    return onnx("Slice", x, *(np.int64([n]) for n in (start, end, axis, step)))


def both(x, function):
    half = function(x)
    return [half, sg.relu(half)]


CASES = {
    "reshape_to_named_sizes": (
        lambda x: onnx("Reshape", sg.relu(x), joined(*shape(x, 0), 12)), ["Relu", "Reshape"]),
    "reshape_to_own_shape": (lambda x: onnx("Reshape", sg.relu(x), onnx("Shape", x)), ["Relu"]),
    "reshape_there_and_back": (
        lambda x: onnx("Reshape", onnx("Reshape", x, [-1, 4]), joined(*shape(x, 0), 3, 4)), []),
    "reshape_by_a_product": (
        lambda x: onnx("Reshape", x, joined(onnx("Mul", *shape(x, 0, 1)), 4)), ["Reshape"]),
    "reshape_by_a_reduced_product": (
        lambda x: onnx("Reshape", x, joined(onnx("ReduceProd", onnx("Shape", x), [0]), )), ["Reshape"]),
    "expand_to_own_shape": (lambda x: onnx("Expand", sg.relu(x), onnx("Shape", x)), ["Relu"]),
    "expand_by_ones": (lambda x: onnx("Expand", sg.relu(x), [1, 1]), ["Relu"]),
    "tile_by_ones": (lambda x: onnx("Tile", sg.relu(x), [1, 1, 1]), ["Relu"]),
    "size_of_a_dead_chain": (
        lambda x: onnx("Expand", sg.tensor([1.0]), joined(*shape(sg.exp(sg.exp(x)), 0))),
        ["Shape", "Gather", "Expand"]),
    "squeeze_of_unsqueeze": (lambda x: onnx("Squeeze", onnx("Unsqueeze", x, [0, 2]), [0, 2]), []),
    "unsqueezes": (lambda x: onnx("Unsqueeze", onnx("Unsqueeze", x, [1]), [1]), ["Reshape"]),
    "transposed_unit_axes": (
        lambda x: onnx("Squeeze", onnx("Transpose", onnx("Unsqueeze", x, [1]), perm=[1, 0, 2, 3]), [0]), []),
    "flatten_of_flatten": (lambda x: onnx("Flatten", onnx("Flatten", x, axis=1), axis=1), ["Flatten"]),
    "cast_to_own_dtype": (lambda x: onnx("Cast", sg.relu(x), to=1), ["Relu"]),
    "cast_to_wider_and_back": (lambda x: onnx("Cast", onnx("Cast", sg.relu(x), to=11), to=1), ["Relu"]),
    "cast_to_narrower_and_back": (lambda x: onnx("Cast", onnx("Cast", x, to=10), to=1), ["Cast", "Cast"]),
    "cast_to_whole_and_back": (lambda x: onnx("Cast", onnx("Cast", sg.clip(x, -3, 3), to=7), to=1),
                               ["Max", "Min", "Cast", "Cast"]),
    "slice_of_all": (lambda x: cut(sg.relu(x), 0, FAR, 0), ["Relu"]),
    "slice_to_the_known_end": (lambda x: cut(sg.relu(x), 0, 3, 1), ["Relu"]),
    "slice_turned_round": (lambda x: cut(x, FAR, -FAR, 1, -1), ["Slice"]),
    "slices_along_two_axes": (lambda x: cut(cut(x, 1, 2, 1), 1, 3, 2), ["Slice"]),
    "slices_along_one_axis": (lambda x: cut(cut(x, 1, FAR, 2), 1, 2, 2), ["Slice"]),
    "slices_along_an_open_axis": (lambda x: cut(cut(x, 1, 3, 0), 1, FAR, 0), ["Slice"]),
    "slices_from_an_open_end": (lambda x: cut(cut(x, -2, FAR, 0), 0, 1, 0), ["Slice", "Slice"]),
    "slices_with_steps": (lambda x: cut(cut(x, 0, FAR, 2, 2), 1, FAR, 2), ["Slice", "Slice"]),
    "slices_that_leave_nothing": (lambda x: cut(cut(x, 0, 1, 2), 2, 3, 2), ["Slice"]),
    "a_slice_that_others_read": (lambda x: cut(both(x, lambda y: cut(y, 1, 3, 2))[1], 0, 1, 2),
                                 ["Slice", "Relu", "Slice"]),
    "concat_of_slices": (
        lambda x: onnx("Concat", *(cut(sg.relu(x), a, b, 2) for a, b in ((0, 1), (1, 3), (3, FAR))), axis=2), ["Relu"]),
    "concat_of_slices_out_of_order": (
        lambda x: onnx("Concat", cut(x, 2, 4, 2), cut(x, 0, 2, 2), axis=2), ["Slice", "Slice", "Concat"]),
    "concat_of_slices_with_a_gap": (
        lambda x: onnx("Concat", cut(x, 0, 1, 2), cut(x, 2, 4, 2), axis=2), ["Slice", "Slice", "Concat"]),
    "concat_of_slices_along_another_axis": (
        lambda x: onnx("Concat", cut(x, 0, 2, 2), cut(x, 2, 4, 2), axis=0), ["Slice", "Slice", "Concat"]),
    "concat_of_split": (
        lambda x: onnx("Concat", *onnx("Split", sg.relu(x), outputs=2, axis=2, num_outputs=2), axis=-1), ["Relu"]),
    "concat_of_turned_split": (
        lambda x: onnx("Concat", *onnx("Split", x, outputs=2, axis=2, num_outputs=2)[::-1], axis=2),
        ["Split", "Concat"]),
    "concat_of_one": (lambda x: onnx("Concat", sg.relu(x), axis=1), ["Relu"]),
    "concat_in_concat": (
        lambda x: onnx("Concat", onnx("Concat", x, sg.relu(x), axis=1), x, axis=-2), ["Relu", "Concat"]),
    "concat_of_nothing": (
        lambda x: onnx("Concat", np.zeros((1, 0, 4), np.float32), sg.tensor(np.ones((1, 3, 4), np.float32)),
                       cut(x, 0, 1, 0), axis=1), ["Slice", "Concat"]),
    "pad_of_zeros": (lambda x: onnx("Pad", sg.relu(x), np.zeros(6, np.int64)), ["Relu"]),
    "pad": (lambda x: onnx("Pad", x, [0, 0, 1, 0, 0, 1]), ["Pad"]),
    "range_of_an_open_size": (
        lambda x: onnx("Reshape", onnx("Range", 0, onnx("Gather", onnx("Shape", x), np.int64(0)), 1),
                       joined(*shape(x, 0))), ["Shape", "Gather", "Range"]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dims", [("N", 3, 4), (None, 3, 4)])
def test_what_changes_nothing_goes_and_results_stay(case, dims):
    build, wanted = CASES[case]
    x = symbol(dims, name="x")
    if case == "concat_of_nothing":
        x = symbol((1, 3, 4), name="x")
        wanted = ["Concat"]

    graph = passes.optimize(sg.Graph([x], [build(x)], output_names=["y"]), PASSES, verify=True)

    assert names(graph) == wanted
    assert passes.optimize(graph, PASSES) is graph
    assert graph.output_names == ("y",)


def test_two_open_dimensions_are_never_told_by_one_number():
    x = symbol(("N", "M", 6), name="x")
    graph = sg.Graph([x], [onnx("Reshape", x, joined(*shape(x, 0, 1), 2, 3)),
                           onnx("Reshape", x, joined(onnx("Mul", *shape(x, 0, 1)), 6))])

    graph = passes.optimize(graph, PASSES, verify=True)

    assert names(graph).count("Reshape") == 2
    for n, m in ((0, 0), (0, 2), (2, 0), (1, 5), (3, 2)):
        found = [y.shape for y in sg.runtime.evaluate(graph, np.zeros((n, m, 6), np.float32))]
        assert found == [(n, m, 2, 3), (n * m, 6)]


def test_a_repeated_size_stays_dynamic_in_a_slice():
    x, y = symbol(("N", 4), name="x"), symbol(("M", 4), name="y")
    graph = sg.Graph([x, y], [onnx("Slice", y, [0], *shape(sg.relu(x), 0), [0])])

    graph = passes.optimize(graph, PASSES, verify=True)

    assert "Relu" not in names(graph)
    for n, m in ((0, 3), (2, 3), (5, 3)):
        (found,) = sg.runtime.evaluate(graph, np.zeros((n, 4), np.float32), np.zeros((m, 4), np.float32))
        assert found.shape == (min(n, m), 4)


def test_a_reshape_that_an_allowed_zero_makes_empty_stays():
    x = symbol(("N", 3), name="x")
    graph = sg.Graph([x], [onnx("Reshape", cut(x, 0, 0, 0), joined(0, *shape(x, 0)), allowzero=1)])

    passes.optimize(graph, PASSES, verify=True)


def test_reshapes_in_bodies_merge_too():
    x = symbol(("N", 3), name="x")

    def body(total, row):
        return total + onnx("Reshape", onnx("Reshape", row, [3, 1]), [3]), total

    total, _ = sg.scan(body, sg.tensor(np.zeros(3, np.float32)), x)
    graph = passes.optimize(sg.Graph([x], [total]), PASSES)

    assert "Reshape" not in str([[n.op.name for n in g.nodes] for node in graph.nodes for _, g in node.subgraphs()])


def test_reshapes_of_nothing_keep_their_zero():
    x = symbol((0, 3), name="x")
    y = onnx("Unsqueeze", onnx("Reshape", x, np.int64([4, 0]), allowzero=1), [2])

    passes.optimize(sg.Graph([x], [y]), PASSES, verify=True)


def test_numbers_that_wrap_around_are_not_taken_for_what_they_were():
    x = symbol(("N", 3), name="x")
    size = onnx("Cast", onnx("Add", onnx("Mul", onnx("Shape", x, start=0, end=1), [0]), [2**32 + 1]), to=6)

    graph = passes.optimize(sg.Graph([x], [size]), PASSES, verify=True)

    assert sg.runtime.evaluate(graph, np.zeros((2, 3), np.float32))[0].tolist() == [1]


@pytest.mark.parametrize("seed", range(40))
def test_random_chains_of_slices_keep_their_results(seed):
    rng = np.random.default_rng(seed)
    x = symbol(("N", 5), name="x")
    y = x
    for _ in range(3):
        start, end = (int(rng.choice([0, 1, 2, 3, 4, 7, -1, -2, -6, FAR])) for _ in range(2))
        y = cut(y, start, end, int(rng.integers(-2, 2)), int(rng.choice([1, 1, 1, 2, -1])))

    passes.optimize(sg.Graph([x], [y]), PASSES, verify=True)


@pytest.mark.parametrize(("condition", "wanted"), [(True, ["Relu"]), (False, ["Exp"])])
def test_a_known_branch_replaces_its_if(condition, wanted):
    x = symbol(("N", 3), name="x")
    with sg.core.scope.tracing():
        y = sg.cond(sg.Variable(np.array(condition)), lambda: sg.relu(x), lambda: sg.exp(x))

    graph = passes.optimize(sg.Graph([x], [y]), (passes.freeze, *PASSES), verify=True)

    assert names(graph) == wanted


def test_a_random_branch_stays_random():
    zeros = sg.Variable(np.zeros(8, np.float32))
    with sg.core.scope.tracing():
        y = sg.cond(sg.Variable(np.array(True)), lambda: onnx("RandomNormalLike", zeros), lambda: zeros * 2.0)

    graph = passes.optimize(sg.Graph([], [y]), (passes.freeze, *PASSES))

    assert names(graph) == ["RandomNormalLike"]


def test_pinned_values_and_outputs_in_the_middle_stay():
    x = symbol(("N", 3), name="x")
    middle = onnx("Reshape", sg.relu(x), [-1])
    graph = sg.Graph([x], [onnx("Reshape", middle, [-1, 3]), middle], output_names=["a", "b"]).pin({"kept": middle})

    graph = passes.optimize(graph, PASSES, verify=True)

    assert graph.output_names == ("a", "b") and graph.pinned["kept"].shape == middle.shape
    assert names(graph) == ["Relu", "Reshape"]


def test_sizes_are_polynomials():
    n, two = Extent((((("dim", "N"),), 1),)), Extent.of(2)

    assert (n + n) * two == n * Extent.of(4)
    assert (n + n) - n == n and (n - n).number == 0
    assert (n * n + n).divided_by(n) == n + Extent.of(1)
    assert (n + Extent.of(1)).divided_by(two) is None and n.divided_by(Extent.of(0)) is None
    assert (n + two).is_positive and not n.is_positive and not (n - two).is_size


def test_open_dimensions_of_two_inputs_of_one_name_differ():
    x, y = symbol((None, 3), name="x"), symbol((None, 3), name="x")
    graph = sg.Graph([x, y], [onnx("Shape", x), onnx("Shape", y)])

    assert passes.optimize(graph, PASSES) is graph


def test_a_gather_limits_what_a_size_can_be():
    x = symbol(("N", 3), name="x")
    size = onnx("Gather", onnx("Shape", x), np.int64(0))
    row = onnx("Gather", sg.tensor(np.arange(8, dtype=np.float32)), onnx("Range", size, size + 1, 1))
    table = onnx("Slice", sg.tensor(np.arange(8, dtype=np.float32)), [0], onnx("Unsqueeze", size + 1, [0]), [0])
    graph = sg.Graph([x], [row, table])
    sizes = KnownShapes(graph)
    for node in graph.nodes:
        sizes.visit(node)

    (first,), (second,) = sizes.shape(graph.outputs[0]), sizes.shape(graph.outputs[1])
    assert first.number == 1
    assert second == sizes.shape(x)[0] + Extent.of(1)
