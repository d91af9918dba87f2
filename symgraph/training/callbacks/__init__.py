"""What listens to training, by its Keras names."""

from symgraph.training.callbacks.callback import Callback
from symgraph.training.callbacks.callback_list import CallbackList
from symgraph.training.callbacks.history import History
from symgraph.training.callbacks.logs import Logs
from symgraph.training.callbacks.progbar_logger import ProgbarLogger

__all__ = ["Callback", "CallbackList", "History", "Logs", "ProgbarLogger"]
