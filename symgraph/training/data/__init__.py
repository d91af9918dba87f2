"""Data: pipelines of elements (`Dataset`), and what feeds the training loop."""

from symgraph.training.data.creating import array, csv, func, generator, zip
from symgraph.training.data.csv_files import CSVDataset
from symgraph.training.data.dataset import AUTOTUNE, Dataset
from symgraph.training.data.nodes import INFINITE, UNKNOWN
from symgraph.training.data.text_files import TextLineDataset

__all__ = [
    "AUTOTUNE", "INFINITE", "UNKNOWN", "CSVDataset", "Dataset", "TextLineDataset", "array", "csv", "func", "generator",
    "zip",
]
