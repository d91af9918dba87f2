"""Differentiation: the walk back over ops, tapes, and gradients of functions."""

from symgraph.autodiff import control_flow as control_flow
from symgraph.autodiff import recurrent as recurrent
from symgraph.autodiff import sequence_map as sequence_map
from symgraph.autodiff.checkpoint import checkpoint
from symgraph.autodiff.custom import custom_gradient, stop_gradient
from symgraph.autodiff.functions import (
    grad,
    grads,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    value_and_grads,
    variable_grads,
    vjp,
)
from symgraph.autodiff.straight_through import straight_through
from symgraph.autodiff.symbolic import gradients
from symgraph.autodiff.tape import GradientTape
from symgraph.core.gradient import gradient_of

__all__ = [
    "GradientTape", "checkpoint", "custom_gradient", "grad", "gradient_of", "gradients", "grads", "hessian", "hvp",
    "jacobian", "jvp", "stop_gradient", "straight_through", "value_and_grad", "value_and_grads", "variable_grads",
    "vjp",
]
