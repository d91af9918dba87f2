"""Pictures of how training went."""

import matplotlib.image
import pytest

import symgraph as sg

LOGS = {"loss": [3.0, 2.0], "accuracy": [0.1, 0.4], "val_loss": [3.5, 2.5]}


def test_a_panel_for_each_log_with_validation_beside_training(tmp_path):
    figure = sg.utils.plot_history(LOGS, tmp_path / "curve.png")

    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 1]
    assert matplotlib.image.imread(tmp_path / "curve.png").ndim == 3


def test_a_history_and_some_of_its_logs():
    history = sg.callbacks.History()
    history.history = LOGS

    assert [axes.get_title() for axes in sg.utils.plot_history(history, names="loss").axes] == ["loss"]


def test_a_log_of_validation_alone_is_called_so():
    (axes,) = sg.utils.plot_history(LOGS, names=["val_loss"]).axes

    assert [line.get_label() for line in axes.lines] == ["validation"]


@pytest.mark.parametrize(("arguments", "message"), [
    ((None,), "what fit returns, or a dict of lists; got NoneType"),
    (({},), "no epochs"),
    (({"loss": []},), "no epochs"),
    ((LOGS, None, ["cost"]), "there is no cost among loss, accuracy"),
    ((LOGS, "curve.xyz"), "'curve.xyz' does not end as a picture does: .*png"),
    ((LOGS, "curve"), "does not end as a picture does"),
    ((LOGS, "."), "does not end as a picture does")])
def test_what_cannot_be_drawn_is_an_error_that_says_why(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(sg.TrainingError, match=message):
        sg.utils.plot_history(*arguments)

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_picture_that_was_there(tmp_path):
    resource = pytest.importorskip("resource")
    sg.utils.plot_history(LOGS, tmp_path / "curve.png")
    before = (tmp_path / "curve.png").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(sg.ResourceError, match=r"curve\.png was not saved"):
            sg.utils.plot_history(LOGS, tmp_path / "curve.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert (tmp_path / "curve.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
