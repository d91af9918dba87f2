"""Operators outside of the families of ours that pass no gradients on, and why."""

from __future__ import annotations

from symgraph.core.gradient import not_differentiable

not_differentiable("it draws random numbers", "RandomUniform", "RandomNormal", "RandomUniformLike", "RandomNormalLike",
                   "Multinomial", "Bernoulli")
not_differentiable("it works on strings", "StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch")
not_differentiable("it counts terms", "TfIdfVectorizer")
not_differentiable("it decodes bytes", "ImageDecoder")
not_differentiable("its output is the places of boxes", "NonMaxSuppression")
not_differentiable("it works on integers", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul")
