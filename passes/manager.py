"""Running passes in order until nothing changes, with a report and, where asked for, a proof."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal, overload

from symgraph.core.graph import Graph
from symgraph.passes.absorb_relu_masks import absorb_relu_masks
from symgraph.passes.bind_constants import bind_constants
from symgraph.passes.bisect import MAX_ROUNDS, Location, prove
from symgraph.passes.block_channels import block_channels
from symgraph.passes.block_weight_gradients import block_weight_gradients
from symgraph.passes.divide_by_root import divide_by_root
from symgraph.passes.errors import PassError
from symgraph.passes.exactness import relaxed
from symgraph.passes.fold_constants import fold_constants
from symgraph.passes.fold_gradient_pads import fold_gradient_pads
from symgraph.passes.fold_into_convolution import fold_into_convolution
from symgraph.passes.fold_into_matmul import fold_into_matmul
from symgraph.passes.fold_pads import fold_pads
from symgraph.passes.fold_shapes import fold_shapes
from symgraph.passes.freeze import freeze
from symgraph.passes.fuse_attention import fuse_attention
from symgraph.passes.fuse_channel_affine import fuse_channel_affine
from symgraph.passes.fuse_convolution_bias import fuse_convolution_bias
from symgraph.passes.fuse_for_onnxruntime import fuse_for_onnxruntime
from symgraph.passes.fuse_gemm import fuse_gemm
from symgraph.passes.fuse_rms_normalization import fuse_rms_normalization
from symgraph.passes.fuse_scaled_sums import fuse_scaled_sums
from symgraph.passes.hoist_invariants import hoist_invariants
from symgraph.passes.inline_branches import inline_branches
from symgraph.passes.inline_composites import inline_composites
from symgraph.passes.join_pads import join_pads
from symgraph.passes.join_updates import join_updates
from symgraph.passes.keep_blocks import keep_blocks
from symgraph.passes.merge_pads import merge_pads
from symgraph.passes.merge_parallel_matmuls import merge_parallel_matmuls
from symgraph.passes.merge_reshapes import merge_reshapes
from symgraph.passes.merge_slices import merge_slices
from symgraph.passes.patch_weight_gradients import patch_weight_gradients
from symgraph.passes.recognize_activations import recognize_activations
from symgraph.passes.recognize_normalization import recognize_normalization
from symgraph.passes.recognize_rms_normalization import recognize_rms_normalization
from symgraph.passes.remove_casts import remove_casts
from symgraph.passes.remove_expands import remove_expands
from symgraph.passes.remove_identity import remove_identity
from symgraph.passes.remove_neutral import remove_neutral
from symgraph.passes.remove_transposes import remove_transposes
from symgraph.passes.remove_unused import remove_unused
from symgraph.passes.repeat_rows import repeat_rows
from symgraph.passes.replace_masks import replace_masks
from symgraph.passes.report import PassReport, Report
from symgraph.passes.scan_recurrence import scan_recurrence
from symgraph.passes.share_common import share_common_subexpressions
from symgraph.passes.share_error_functions import share_error_functions
from symgraph.passes.simplify import SIMPLIFICATIONS
from symgraph.passes.simplify_sum_to import simplify_sum_to
from symgraph.passes.simplify_sums import simplify_sums
from symgraph.passes.split_slices import split_slices
from symgraph.passes.split_transposes import split_transposes
from symgraph.passes.sum_by_products import sum_by_products
from symgraph.passes.turn_operands import turn_operands
from symgraph.passes.turn_products import turn_products
from symgraph.passes.upgrade_opset import upgrade_opset
from symgraph.passes.use_newer_operators import use_newer_operators
from symgraph.passes.verify import Pass, name_of, run_pass
from symgraph.runtime.exporter import walk_nodes

_SHARED: tuple[Pass, ...] = (
    remove_identity, remove_casts, fold_constants, inline_branches, simplify_sum_to, fold_shapes, merge_slices,
    split_slices, merge_pads, join_pads, merge_reshapes, remove_expands, remove_transposes, bind_constants,
    hoist_invariants, remove_unused, remove_neutral, share_common_subexpressions, simplify_sums, *SIMPLIFICATIONS)

TRAINING: tuple[Pass, ...] = (
    *_SHARED, fold_pads, fold_gradient_pads, fuse_convolution_bias, fuse_gemm, absorb_relu_masks)
"""For graphs that are trained: weights stay variables."""

INFERENCE: tuple[Pass, ...] = (
    freeze, *_SHARED, fold_pads, fold_into_convolution, fold_into_matmul, recognize_activations,
    recognize_normalization, recognize_rms_normalization, use_newer_operators, divide_by_root,
    fuse_gemm, turn_products, merge_parallel_matmuls)
"""For graphs that are only run, on any runtime: weights become constants, what training alone needs goes, and standard
operators take the place of what is written out; where an old file can use newer ones, it comes to opset 21."""

PORTABLE: tuple[Pass, ...] = (*INFERENCE, upgrade_opset)
"""For graphs that are to be written in standard operators of one opset, 21, however old the file: `INFERENCE` there."""

ONNXRUNTIME: tuple[Pass, ...] = (*PORTABLE, fuse_rms_normalization, fuse_attention, fuse_for_onnxruntime)
"""For graphs that ONNX Runtime runs: `PORTABLE`, and operators of its own."""

STEP: tuple[Pass, ...] = (
    turn_operands, share_error_functions, fuse_channel_affine, fuse_scaled_sums, sum_by_products, replace_masks,
    split_transposes, remove_unused, share_common_subexpressions)
"""For graphs that are about to run on the CPU, after `TRAINING`: what ONNX Runtime's kernels do best. Not for files."""


@relaxed
def prepare_step(graph: Graph) -> Graph:
    """A graph of `TRAINING` as it is to run on the CPU: convolutions in blocks, composites unfolded, then `STEP`.

    Rounds differently.
    """
    for pipeline in ((block_channels, patch_weight_gradients, block_weight_gradients, scan_recurrence),
                     (inline_composites, *TRAINING),
                     (replace_masks, keep_blocks, repeat_rows, share_common_subexpressions, join_updates), STEP):
        graph = optimize(graph, pipeline)
    return graph


MAX_GROWTH = 64
"""A pass may make a graph this many times as large as it was at first, and `FREE_NODES` larger."""

FREE_NODES = 10_000


@overload
def optimize(graph: Graph, passes: Iterable[Pass] = ..., *, verify: bool = ..., report: Literal[False] = ...,
             reproducer: Location | None = ...) -> Graph: ...
@overload
def optimize(graph: Graph, passes: Iterable[Pass] = ..., *, verify: bool = ..., report: Literal[True],
             reproducer: Location | None = ...) -> tuple[Graph, Report]: ...


def optimize(graph: Graph, passes: Iterable[Pass] = INFERENCE, *, verify: bool = False, report: bool = False,
             reproducer: Location | None = None) -> Any:
    """Run `passes` in order, again and again until none changes the graph.

    Inputs, outputs, pinned values and their names stay. `verify=True` compares results before and after every
    pass that changed something, on random and on edge inputs, with ONNX Runtime's own optimiser off: bit for bit
    for exact passes. `report=True` returns the graph and a `Report`.

    Where the proof fails, the smallest part that shows it is saved as `reproducer`, its inputs as `.npz` beside it.

    Errors: `PassError` naming a pass that raises, returns no graph, changes types, names or results, with the node,
    makes the graph grow without end, or never comes to rest.
    """
    pipeline = tuple(passes)
    rows = [(Counter[str](), Counter[str](), [0.0]) for _ in pipeline]
    before, changed = len(graph.nodes), list[str]()
    settled: dict[int, Graph] = {}  # the graph that a pass, by its place, last left as it was: it would again
    for _ in range(MAX_ROUNDS):
        changed.clear()
        for place, (each, (removed, added, seconds)) in enumerate(zip(pipeline, rows, strict=True)):
            if settled.get(place) is graph:
                continue
            began = time.perf_counter()
            result = run_pass(each, graph)
            seconds[0] += time.perf_counter() - began
            if result is graph:
                settled[place] = graph
                continue
            changed.append(name_of(each))
            if len(result.nodes) > MAX_GROWTH * before + FREE_NODES:
                raise PassError(f"{name_of(each)} makes graph {graph.name!r} grow without end: "
                                f"from {before} nodes to {len(result.nodes)}")
            if verify:
                prove(graph, result, each, reproducer)
            if report:
                old, new = _operators(graph), _operators(result)
                removed.update(old - new)
                added.update(new - old)
            graph = result
        if not changed:
            break
    else:
        raise PassError(f"the passes {', '.join(changed)} still changed graph {graph.name!r} after {MAX_ROUNDS} rounds")
    if not report:
        return graph
    found = tuple(PassReport(name_of(p), r, a, s[0]) for p, (r, a, s) in zip(pipeline, rows, strict=True))
    return graph, Report(found, before, len(graph.nodes))


def _operators(graph: Graph) -> Counter[str]:
    return Counter(str(node.op) for node in walk_nodes(graph))
