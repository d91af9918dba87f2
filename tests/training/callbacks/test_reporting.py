"""Callbacks made of functions, those that report to a file or a server, and what they refuse."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import numpy as np
import pytest

import symgraph as sg
from symgraph.training.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    LambdaCallback,
    LearningRateScheduler,
    ReduceLROnPlateau,
    RemoteMonitor,
)
from tests.training.callbacks.cases import Model

HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


@pytest.fixture
def server():
    """A server that keeps what is sent to it; its `status` is what it answers."""
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.server.received.append((self.path, dict(self.headers), body))
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.received, server.status = [], 200
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def address(server):
    return f"http://127.0.0.1:{server.server_port}"


LOGS = {"loss": 0.5, "several": np.array([1.0, 2.0])}


def test_epochs_are_sent_as_a_form(server):
    CallbackList([RemoteMonitor(address(server), path="/here", headers={"X-Key": "k"})]).on_epoch_end(3, LOGS)
    (path, headers, body), = server.received

    assert (path, headers["X-Key"], headers["Content-Type"]) == ("/here", "k", "application/x-www-form-urlencoded")
    assert json.loads(parse_qs(body)["data"][0]) == {"epoch": 3, "loss": 0.5, "several": [1.0, 2.0]}


def test_epochs_are_sent_as_json(server):
    CallbackList([RemoteMonitor(address(server), send_as_json=True)]).on_epoch_end(3, LOGS)
    (path, headers, body), = server.received

    assert (path, headers["Content-Type"]) == ("/publish/epoch/end/", "application/json")
    assert json.loads(body) == {"epoch": 3, "loss": 0.5, "several": [1.0, 2.0]}


def test_a_server_that_refuses_is_told_and_training_goes_on(server):
    server.status = 500
    with pytest.warns(UserWarning, match="could not send epoch 3 to .*HTTP Error 500"):
        CallbackList([RemoteMonitor(address(server))]).on_epoch_end(3, LOGS)


def test_a_server_that_is_not_there_is_told_and_training_goes_on(server):
    gone = address(server)
    server.socket.close()
    with pytest.warns(UserWarning, match="could not send epoch 0 to"):
        CallbackList([RemoteMonitor(gone.replace("127.0.0.1", "127.0.0.2"))]).on_epoch_end(0, LOGS)


def test_a_server_that_does_not_speak_http_is_told_and_training_goes_on():
    def answer():
        connection, _ = other.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"220 mail\r\n")

    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.warns(UserWarning, match="could not send epoch 0 to .*220 mail"):
            CallbackList([RemoteMonitor(f"http://127.0.0.1:{other.getsockname()[1]}")]).on_epoch_end(0, LOGS)
        thread.join()


@pytest.mark.parametrize("root", ["file:///etc/passwd", "localhost:9000", ""])
def test_only_http_is_spoken(root):
    with pytest.raises(sg.TrainingError, match="must begin with http"):
        RemoteMonitor(root)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_may_be_a_function(hook):
    calls = []
    callbacks = CallbackList([LambdaCallback(**{hook: lambda *args, **kwargs: calls.append((args, kwargs))})])
    arguments = () if hook.endswith(("train_begin", "train_end", "test_begin", "test_end", "predict_begin",
                                     "predict_end")) else (4,)
    getattr(callbacks, hook)(*arguments, {"loss": 1.0})
    (args, kwargs), = calls

    assert args[:1] == (arguments or ({"loss": 1.0},))
    assert dict(kwargs.get("logs", args[-1])) == {"loss": 1.0}


@pytest.mark.parametrize("arguments, text", [
    ({"on_epoch_ends": print}, "no hook 'on_epoch_ends'; did you mean .*\"on_epoch_end\""),
    ({"on_epoch_end": 3}, "on_epoch_end must be a function, got 3"),
])
def test_functions_for_no_hook_are_refused(arguments, text):
    with pytest.raises(sg.TrainingError, match=text):
        LambdaCallback(**arguments)


@pytest.mark.parametrize("given, expected", [(0.5, 0.5), (1, 1.0), (np.float32(0.25), 0.25), (sg.tensor(0.125), 0.125)])
def test_a_schedule_may_give_any_number(given, expected):
    model = Model()
    CallbackList([LearningRateScheduler(lambda epoch, rate: given)], model=model).on_epoch_begin(0)

    assert model.optimizer.rate == np.float32(expected)


@pytest.mark.parametrize("given", [None, "0.1", True, np.ones(2)], ids=str)
def test_a_schedule_that_gives_no_number_is_an_error(given):
    with pytest.raises(sg.TrainingError, match=r"must give a number, gave .* for epoch 7"):
        CallbackList([LearningRateScheduler(lambda epoch: given)], model=Model()).on_epoch_begin(7)


def test_a_type_error_in_a_schedule_is_its_own():
    def schedule(epoch, rate):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        CallbackList([LearningRateScheduler(schedule)], model=Model()).on_epoch_begin(0)


def test_what_is_no_schedule_is_refused():
    with pytest.raises(sg.TrainingError, match=r"must be a function of epoch and learning rate, got 0\.1"):
        LearningRateScheduler(0.1)


@pytest.mark.parametrize("callback", [LearningRateScheduler(lambda epoch: 0.1), ReduceLROnPlateau("loss", patience=1)])
def test_a_rate_that_is_a_schedule_already_cannot_be_set(callback):
    model = Model()
    model.optimizer = sg.optimizers.SGD(sg.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))
    callbacks = CallbackList([callback], model=model)
    callbacks.on_train_begin()

    with pytest.raises(sg.TrainingError, match=r"has the schedule .* as learning rate"):
        for epoch in range(3):
            callbacks.on_epoch_begin(epoch)
            callbacks.on_epoch_end(epoch, {"loss": 1.0})


def test_without_an_optimizer_there_is_no_rate_to_set():
    model = Model()
    model.optimizer = None

    with pytest.raises(sg.TrainingError, match="LearningRateScheduler needs an optimizer"):
        CallbackList([LearningRateScheduler(lambda epoch: 0.1)], model=model).on_epoch_begin(0)


def test_a_table_that_cannot_be_written_is_an_error_at_the_start(tmp_path):
    with pytest.raises(sg.TrainingError, match=r"cannot write .*absent.log\.csv: No such file or directory"):
        CallbackList([CSVLogger(tmp_path / "absent" / "log.csv")]).on_train_begin()


def test_a_table_that_the_disk_has_no_room_for_is_an_error_with_its_name(tmp_path):
    resource = pytest.importorskip("resource")
    callbacks = CallbackList([CSVLogger(tmp_path / "log.csv")])
    callbacks.on_train_begin()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        with pytest.raises(sg.TrainingError, match=r"cannot write .*log\.csv: File too large"):
            callbacks.on_epoch_end(0, {"loss": 0.5})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_values_that_are_sequences_stand_in_brackets(tmp_path):
    callbacks = CallbackList([CSVLogger(tmp_path / "log.csv")])
    callbacks.on_train_begin()
    callbacks.on_epoch_end(0, {"a": np.array([1.0, 2.0]), "b": "text", "val_a": [1, 2]})

    assert (tmp_path / "log.csv").read_bytes() == (
        b'epoch,a,b,val_a\r\n0,"""[1.0, 2.0]""",text,"""[1, 2]"""\r\n')
