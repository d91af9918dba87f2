"""Layers under policies of mixed precision: the class, its arguments, the shape of its input, and how it is called.

`record.py` calls Keras so, `test_against_keras.py` symgraph.
"""

LAYERS = {
    "dense": ("Dense", {"units": 4, "activation": "relu"}, (3, 5), {}),
    "dense_float32": ("Dense", {"units": 4, "dtype": "float32"}, (3, 5), {}),
    "softmax": ("Softmax", {}, (3, 50), {}),
    "softmax_axes": ("Softmax", {"axis": [1, 2]}, (3, 4, 5), {}),
    "layer_norm": ("LayerNormalization", {}, (3, 40), {}),
    "group_norm": ("GroupNormalization", {"groups": 2}, (3, 5, 8), {}),
    "rms_norm": ("RMSNormalization", {}, (3, 40), {}),
    "unit_norm": ("UnitNormalization", {}, (3, 40), {}),
    "batch_norm": ("BatchNormalization", {}, (30, 5), {}),
    "batch_norm_training": ("BatchNormalization", {}, (30, 5), {"training": True}),
    "conv": ("Conv2D", {"filters": 3, "kernel_size": 3, "padding": "same"}, (2, 6, 5, 4), {}),
    "depthwise": ("DepthwiseConv2D", {"kernel_size": 3}, (2, 6, 5, 4), {}),
    "max_pool": ("MaxPooling2D", {}, (2, 6, 6, 4), {}),
    "average_pool": ("GlobalAveragePooling2D", {}, (2, 6, 6, 4), {}),
    "embedding": ("Embedding", {"input_dim": 3000, "output_dim": 2}, "numbers", {}),
    "attention": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 4}, (2, 5, 8), {"use_causal_mask": True}),
    "lstm": ("LSTM", {"units": 4, "recurrent_initializer": "zeros"}, (2, 5, 3), {}),
    "gru": ("GRU", {"units": 4, "recurrent_initializer": "zeros", "return_sequences": True}, (2, 5, 3), {}),
    "elu": ("ELU", {}, (3, 5), {}),
    "prelu": ("PReLU", {"alpha_initializer": "ones"}, (3, 5), {}),
}
POLICIES = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64")
