"""Rewrite passes: pure functions from graph to graph that keep every result.

`optimize(graph)` runs `INFERENCE`. A pass is any function `Graph -> Graph`; `rule` makes one of a pattern.
"""

from symgraph.passes.absorb_relu_masks import absorb_relu_masks
from symgraph.passes.bind_constants import bind_constants
from symgraph.passes.bisect import Culprit, bisect
from symgraph.passes.block_channels import block_channels
from symgraph.passes.block_weight_gradients import block_weight_gradients
from symgraph.passes.cost import Cost, cost
from symgraph.passes.divide_by_root import divide_by_root
from symgraph.passes.errors import PassError
from symgraph.passes.explain import Explanation, explain
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
from symgraph.passes.fuse_elementwise import fuse_elementwise
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
from symgraph.passes.manager import INFERENCE, ONNXRUNTIME, PORTABLE, STEP, TRAINING, optimize, prepare_step
from symgraph.passes.merge_pads import merge_pads
from symgraph.passes.merge_parallel_matmuls import merge_parallel_matmuls
from symgraph.passes.merge_reshapes import merge_reshapes
from symgraph.passes.merge_slices import merge_slices
from symgraph.passes.patch_weight_gradients import patch_weight_gradients
from symgraph.passes.recognize_activations import recognize_activations
from symgraph.passes.recognize_attention import recognize_attention
from symgraph.passes.recognize_group_normalization import recognize_group_normalization
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
from symgraph.passes.rules import Rule, rule
from symgraph.passes.scan_recurrence import scan_recurrence
from symgraph.passes.share_common import share_common_subexpressions
from symgraph.passes.share_error_functions import share_error_functions
from symgraph.passes.simplify_sum_to import simplify_sum_to
from symgraph.passes.simplify_sums import simplify_sums
from symgraph.passes.split_slices import split_slices
from symgraph.passes.split_transposes import split_transposes
from symgraph.passes.sum_by_products import sum_by_products
from symgraph.passes.turn_operands import turn_operands
from symgraph.passes.turn_products import turn_products
from symgraph.passes.upgrade_opset import upgrade_opset
from symgraph.passes.use_newer_operators import use_newer_operators
from symgraph.passes.verify import Pass

__all__ = [
    "INFERENCE",
    "ONNXRUNTIME",
    "PORTABLE",
    "STEP",
    "TRAINING",
    "Cost",
    "Culprit",
    "Explanation",
    "Pass",
    "PassError",
    "PassReport",
    "Report",
    "Rule",
    "absorb_relu_masks",
    "bind_constants",
    "bisect",
    "block_channels",
    "block_weight_gradients",
    "cost",
    "divide_by_root",
    "explain",
    "fold_constants",
    "fold_gradient_pads",
    "fold_into_convolution",
    "fold_into_matmul",
    "fold_pads",
    "fold_shapes",
    "freeze",
    "fuse_attention",
    "fuse_channel_affine",
    "fuse_convolution_bias",
    "fuse_elementwise",
    "fuse_for_onnxruntime",
    "fuse_gemm",
    "fuse_rms_normalization",
    "fuse_scaled_sums",
    "hoist_invariants",
    "inline_branches",
    "inline_composites",
    "join_pads",
    "join_updates",
    "keep_blocks",
    "merge_pads",
    "merge_parallel_matmuls",
    "merge_reshapes",
    "merge_slices",
    "optimize",
    "patch_weight_gradients",
    "prepare_step",
    "recognize_activations",
    "recognize_attention",
    "recognize_group_normalization",
    "recognize_normalization",
    "recognize_rms_normalization",
    "remove_casts",
    "remove_expands",
    "remove_identity",
    "remove_neutral",
    "remove_transposes",
    "remove_unused",
    "repeat_rows",
    "replace_masks",
    "rule",
    "scan_recurrence",
    "share_common_subexpressions",
    "share_error_functions",
    "simplify_sum_to",
    "simplify_sums",
    "split_slices",
    "split_transposes",
    "sum_by_products",
    "turn_operands",
    "turn_products",
    "upgrade_opset",
    "use_newer_operators",
]
