"""What listens to training, by its Keras names. Public as `sg.callbacks`."""

from symgraph.training.callbacks.backup_and_restore import BackupAndRestore
from symgraph.training.callbacks.callback import Callback
from symgraph.training.callbacks.callback_list import CallbackList
from symgraph.training.callbacks.csv_logger import CSVLogger
from symgraph.training.callbacks.early_stopping import EarlyStopping
from symgraph.training.callbacks.history import History
from symgraph.training.callbacks.lambda_callback import LambdaCallback
from symgraph.training.callbacks.learning_rate_scheduler import LearningRateScheduler
from symgraph.training.callbacks.logs import Logs
from symgraph.training.callbacks.model_checkpoint import ModelCheckpoint
from symgraph.training.callbacks.nan_guard import NanGuard
from symgraph.training.callbacks.progbar_logger import ProgbarLogger
from symgraph.training.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from symgraph.training.callbacks.remote_monitor import RemoteMonitor
from symgraph.training.callbacks.swap_ema_weights import SwapEMAWeights
from symgraph.training.callbacks.tensor_board import TensorBoard
from symgraph.training.callbacks.terminate_on_nan import TerminateOnNaN
from symgraph.training.weights_files import load_weights, save_weights

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "Logs", "ModelCheckpoint", "NanGuard", "ProgbarLogger", "ReduceLROnPlateau",
    "RemoteMonitor", "SwapEMAWeights", "TensorBoard", "TerminateOnNaN", "load_weights", "save_weights",
]
