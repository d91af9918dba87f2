"""Mixed precision under its older Keras names: policies, and the scaling of losses. Public as `sg.mixed_precision`.

>>> import symgraph as sg
>>> set_global_policy("mixed_float16")
>>> global_policy(), sg.layers.Dense(2).compute_dtype
(<DTypePolicy "mixed_float16">, 'float16')
>>> set_global_policy(None)
"""

from symgraph.layers.dtype_policy import DTypePolicy, dtype_policy, set_dtype_policy
from symgraph.training.optimizers.loss_scale import LossScaleOptimizer

Policy = DTypePolicy
global_policy, set_global_policy = dtype_policy, set_dtype_policy

__all__ = ["DTypePolicy", "LossScaleOptimizer", "Policy", "dtype_policy", "global_policy", "set_dtype_policy",
           "set_global_policy"]
