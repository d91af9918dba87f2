"""Datasets from folders, and windows and splits: what Keras's records do not show."""

import random
import wave

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import DtypeError, MissingDependencyError, ShapeError, TrainingError
from symgraph.core.structure import flatten
from symgraph.training.data import image_files
from symgraph.training.data.audio_folders import audio_dataset_from_directory
from symgraph.training.data.dataset_splits import split_dataset
from symgraph.training.data.feeding import make_feed
from symgraph.training.data.image_folders import image_dataset_from_directory
from symgraph.training.data.image_sizes import padded_to_aspect_ratio, resized
from symgraph.training.data.padding import pad_sequences
from symgraph.training.data.text_folders import text_dataset_from_directory
from symgraph.training.data.timeseries import timeseries_dataset_from_array
from tests.training.data.keras_cases import make_folder


@pytest.fixture
def texts(tmp_path):
    for name, text in {"bad/1.txt": "so so", "bad/2.txt": "no", "good/1.txt": "yès", "good/2.TXT": "fine"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def write_wav(path, samples, width=2, rate=8000):
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        scaled = np.round(samples * 2.0 ** (8 * width - 1)).astype(np.int64) + (128 if width == 1 else 0)
        file.writeframes(scaled.astype("<i8").reshape(-1, 1).view(np.uint8)[:, :width].tobytes())


SOUND = np.stack([np.arange(6) / 8, -np.arange(6) / 8], axis=1)


def test_texts_come_with_the_number_of_their_folder(texts, capsys):
    dataset = text_dataset_from_directory(texts, shuffle=False, batch_size=3)

    batches = [(x.tolist(), y.tolist()) for x, y in dataset]
    assert batches == [(["so so", "no", "yès"], [0, 0, 1]), (["fine"], [1])]
    assert dataset.class_names == ["bad", "good"]
    assert [path.rpartition("/")[2] for path in dataset.file_paths] == ["1.txt", "2.txt", "1.txt", "2.TXT"]
    assert capsys.readouterr().out == "Found 4 files belonging to 2 classes.\n"


def test_texts_are_cut_off_and_may_come_alone(texts):
    dataset = text_dataset_from_directory(
        texts, labels=None, max_length=2, batch_size=None, shuffle=False, verbose=False)

    assert dataset.to_array() == ["so", "no", "yè", "fi"]
    assert dataset.class_names is None


def test_folders_are_shuffled_in_each_pass_and_fixed_by_the_seed(texts):
    def orders():
        dataset = text_dataset_from_directory(texts, label_mode=None, batch_size=None, seed=1, verbose=False)
        return [dataset.to_array() for _ in range(4)]

    assert orders() == orders()
    assert len({tuple(order) for order in orders()}) > 1


def test_training_and_validation_share_no_file(texts, capsys):
    train, validation = text_dataset_from_directory(texts, validation_split=0.25, subset="both", seed=1)

    assert len(train.file_paths) == 3 and len(validation.file_paths) == 1
    assert len({*train.file_paths, *validation.file_paths}) == 4
    assert capsys.readouterr().out.splitlines()[1:] == ["Using 3 files for training.", "Using 1 files for validation."]


def test_a_folder_feeds_training_and_resumes(texts):
    def feed():
        return make_feed(text_dataset_from_directory(texts, batch_size=1, seed=2, verbose=False))

    with feed() as whole, feed() as later:
        expected = [b.x[0].tolist() for b in whole.batches(1)]
        assert [b.x[0].tolist() for b in later.batches(1, 2)] == expected[2:]


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_sounds_of_every_width_are_read(width, tmp_path):
    write_wav(tmp_path / "a" / "s.wav", SOUND, width)

    ((sound, label),) = audio_dataset_from_directory(tmp_path, verbose=False)

    np.testing.assert_array_equal(sound.numpy(), SOUND[None].astype(np.float32), strict=True)
    assert label.tolist() == [0]


def test_shorter_sounds_are_filled_up(tmp_path):
    write_wav(tmp_path / "a" / "1.wav", SOUND)
    write_wav(tmp_path / "a" / "2.wav", SOUND[:4])
    options = {"labels": None, "shuffle": False, "verbose": False}

    (longest,) = audio_dataset_from_directory(tmp_path, **options)
    (five,) = audio_dataset_from_directory(tmp_path, output_sequence_length=5, **options)

    assert longest.shape == (2, 6, 2) and not longest.numpy()[1, 4:].any()
    np.testing.assert_array_equal(five.numpy(), longest.numpy()[:, :5])


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 4000), (4000, 8000), (8000, 6000)])
def test_sounds_are_brought_to_another_rate(rate, wanted, tmp_path):
    def tone(rate):
        return 0.5 * np.sin(2 * np.pi * 100 * np.arange(rate // 10) / rate)[:, None]

    write_wav(tmp_path / "a" / "s.wav", tone(rate), 4, rate)

    (sound,) = audio_dataset_from_directory(tmp_path, labels=None, sampling_rate=wanted, verbose=False)

    np.testing.assert_allclose(sound.numpy()[0], tone(wanted), atol=1e-5)


def test_pictures_are_padded_to_the_shape_wanted():
    picture = np.full((4, 8, 1), 9, np.uint8)

    found = padded_to_aspect_ratio(picture, 4, 4, "bilinear")

    assert found[:, :, 0].tolist() == [[0] * 4, [9] * 4, [9] * 4, [0] * 4]


@pytest.mark.parametrize("size", [(2, 3), (8, 9), (3, 5)])
def test_area_is_the_mean_of_what_a_pixel_covers(size, rng):
    picture = rng.uniform(0, 255, (4, 6, 2))
    fine = picture.repeat(size[0], axis=0).repeat(size[1], axis=1)

    expected = fine.reshape(size[0], 4, size[1], 6, 2).mean(axis=(1, 3))

    np.testing.assert_allclose(resized(picture, *size, "area"), expected, rtol=1e-5)


@pytest.mark.parametrize(("method", "weights"), [
    ("gaussian", np.exp(-2 * np.array([0.25, 1.25, 0.75]) ** 2)),
    ("mitchellcubic", [(7 * 0.25 - 12) * 0.25**2 / 6 + 8 / 9, ((-7 / 18 * 1.25 + 2) * 1.25 - 10 / 3) * 1.25 + 16 / 9,
                       (7 * 0.75 - 12) * 0.75**2 / 6 + 8 / 9, ((-7 / 18 * 1.75 + 2) * 1.75 - 10 / 3) * 1.75 + 16 / 9]),
])
def test_smooth_kernels_weigh_by_distance(method, weights):
    """A row of 8 as one of 16: new pixel 8 lies at 3.75, so 4, 3 (and 5, 2) are 0.25, 0.75 (and 1.25, 1.75) away."""
    near = dict(zip((4, 5, 3, 2), weights, strict=False))

    for place, weight in near.items():
        row = np.zeros((1, 8, 1))
        row[0, place] = 1
        found = resized(row, 1, 16, method)[0, 8, 0]
        assert found == pytest.approx(weight / sum(weights), rel=1e-5)


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos3", "lanczos5", "gaussian", "mitchellcubic", "area"])
def test_flat_pictures_stay_flat(method):
    np.testing.assert_allclose(resized(np.full((5, 7, 1), 40, np.uint8), 11, 3, method), 40, rtol=1e-6)


def test_saving_as_jpeg_leaves_transparency_out(tmp_path):
    with pytest.warns(UserWarning, match="JPEG has no transparency"):
        image_files.save_img(tmp_path / "a.jpg", np.zeros((4, 4, 4)))

    assert image_files.load_img(tmp_path / "a.jpg").mode == "RGB"


def test_without_pillow_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)

    with pytest.raises(MissingDependencyError, match=r"needs the package Pillow; pip install 'symgraph\[images\]'"):
        image_files.load_img("a.png")


def image_folder(tmp_path, **options):
    return image_dataset_from_directory(make_folder(tmp_path), verbose=False, **options)


ERRORS = {
    "labels": (lambda p: image_folder(p, labels="guess"), TrainingError, 'labels is "inferred", None or a list'),
    "number of labels": (lambda p: image_folder(p, labels=[1, 2]), TrainingError, "2 labels for 5 files"),
    "labels of classes": (lambda p: image_folder(p, labels=[0, 1, 2, 2, 9], label_mode="categorical"), TrainingError,
                          "the labels of 4 classes are 0 to 3, got 9"),
    "binary labels": (lambda p: image_folder(p, labels=[1, 1, 2, 2, 1], label_mode="binary"), TrainingError,
                      "the labels of 2 classes are 0 to 1, got 2"),
    "words for labels": (lambda p: image_folder(p, labels=list("abcde")), TrainingError, "whole numbers, got <U1"),
    "shares for labels": (lambda p: image_folder(p, labels=[0.5] * 5), TrainingError, "whole numbers, got float64"),
    "label_mode": (lambda p: image_folder(p, label_mode="float"), TrainingError, "label_mode is"),
    "two classes": (lambda p: image_folder(p, class_names=["cats"], label_mode="binary"), TrainingError,
                    "two classes, found 1"),
    "class_names": (lambda p: image_folder(p, class_names=["cows"]), TrainingError, "'cows', which is no folder in"),
    "class_names and labels": (lambda p: image_folder(p, class_names=["a"], labels=None), TrainingError,
                               "class_names is for"),
    "subset": (lambda p: image_folder(p, subset="half", validation_split=0.1), TrainingError, "subset is"),
    "subset alone": (lambda p: image_folder(p, subset="training"), TrainingError, "go together"),
    "split": (lambda p: image_folder(p, subset="both", validation_split=2), TrainingError, "between 0 and 1"),
    "split without a seed": (lambda p: image_folder(p, subset="both", validation_split=0.5), TrainingError,
                             "needs a seed"),
    "empty part": (lambda p: image_folder(p, subset="both", validation_split=0.1, seed=1), TrainingError,
                   "no validation files found"),
    "image_size": (lambda p: image_folder(p, image_size=(3, 4, 5)), TrainingError, "image_size is"),
    "color_mode": (lambda p: image_folder(p, color_mode="cmyk"), TrainingError, "color_mode is one of"),
    "interpolation": (lambda p: image_folder(p, interpolation="cubic"), TrainingError,
                      "no interpolation 'cubic'; did you"),
    "data_format": (lambda p: image_folder(p, data_format="last"), TrainingError, "data_format is"),
    "crop and pad": (lambda p: image_folder(p, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True), TrainingError,
                     "exclude"),
    "format": (lambda p: image_folder(p, format="torch"), TrainingError, "format is"),
    "folder": (lambda p: text_dataset_from_directory(p / "absent"), TrainingError, "there is no folder"),
    "address": (lambda p: text_dataset_from_directory("gs://bucket/texts"), TrainingError, "is an address"),
    "no files": (lambda p: text_dataset_from_directory(p, verbose=False), TrainingError,
                 r"no files found .* end in \.txt"),
    "ragged": (lambda p: audio_dataset_from_directory(p, ragged=True), TrainingError, "no ragged tensors"),
    "rate": (lambda p: audio_dataset_from_directory(p, sampling_rate=0), TrainingError, "sampling_rate is"),
    "no image": (lambda p: image_files.load_img(p / "a.png"), TrainingError, "there is no file"),
    "no path": (lambda p: image_files.load_img(3), TrainingError, "an image is given by its path"),
    "mode": (lambda p: image_files.load_img("a", color_mode="hsv"), TrainingError, "color_mode is one of"),
    "method": (lambda p: image_files.load_img("a", interpolation="area"), TrainingError, "no interpolation 'area'"),
    "two channels": (lambda p: image_files.array_to_img(np.zeros((2, 2, 2))), ShapeError, "1, 3 or 4 channels, got 2"),
    "a batch": (lambda p: image_files.array_to_img(np.zeros((1, 2, 2, 3))), ShapeError, "takes one image"),
    "a row": (lambda p: image_files.img_to_array(np.zeros(3)), ShapeError, "2 or 3 dimensions"),
    "start_index": (lambda p: timeseries_dataset_from_array(range(5), None, 2, start_index=5), TrainingError,
                    "start_index"),
    "end_index": (lambda p: timeseries_dataset_from_array([1] * 5, None, 2, end_index=6), TrainingError, "end_index"),
    "stride": (lambda p: timeseries_dataset_from_array([1] * 5, None, 2, 0), TrainingError,
               "sequence_stride is a whole"),
    "far apart": (lambda p: timeseries_dataset_from_array([1] * 5, None, 2, 1, 5), TrainingError,
                  "below the number of steps"),
    "too long": (lambda p: timeseries_dataset_from_array([1] * 5, None, 6), TrainingError, "too few for a window of 6"),
    "no sizes": (lambda p: split_dataset([1, 2]), TrainingError, "needs left_size or right_size"),
    "sizes": (lambda p: split_dataset([1, 2, 3], 2, 2), TrainingError, "more than there are"),
    "all to the left": (lambda p: split_dataset([1, 2, 3], 3), TrainingError,
                        "left_size is a number of samples below 3"),
    "size of a word": (lambda p: split_dataset([1, 2, 3], "half"), TrainingError, "left_size is a number of samples"),
    "empty split": (lambda p: split_dataset([1, 2, 3], 0.01), TrainingError, "leave one part empty"),
    "endless": (lambda p: split_dataset(sg.data.Dataset.range(3).repeat(), 0.5), TrainingError, "without end"),
    "padding": (lambda p: pad_sequences([[1]], padding="left"), TrainingError, 'padding is "pre" or "post"'),
    "maxlen": (lambda p: pad_sequences([[1]], maxlen=-1), TrainingError, "maxlen is a whole number of at least 0"),
    "no sequences": (lambda p: pad_sequences(3), TrainingError, "takes a list of sequences, got int"),
    "numbers": (lambda p: pad_sequences([[1], 2]), TrainingError, "element 1 is 2"),
    "words": (lambda p: pad_sequences([["a"]], value="-"), DtypeError, "give dtype=object for strings"),
    "other steps": (lambda p: pad_sequences([[[1, 2]], [[1]]]), ShapeError, r"sequence 1 have shape \(1,\)"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_mistakes_are_explained(case, tmp_path):
    make, kind, message = ERRORS[case]

    with pytest.raises(kind, match=message):
        make(tmp_path)


@pytest.mark.parametrize(("name", "content", "read", "message"), [
    ("a/x.png", b"no picture", image_dataset_from_directory, "is no picture that Pillow can read"),
    ("a/x.txt", b"\xff\xfe\xff", text_dataset_from_directory, "is no text in UTF-8"),
    ("a/x.wav", b"RIFFno sound", audio_dataset_from_directory, "is no WAV file"),
])
def test_files_that_are_not_what_their_name_says_are_named(name, content, read, message, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / name).write_bytes(content)

    with pytest.raises(TrainingError, match=f"{name} {message}"):
        read(tmp_path, verbose=False).to_array()


def test_a_sound_that_was_cut_off_is_named(tmp_path):
    path = tmp_path / "a" / "s.wav"
    write_wav(path, SOUND)
    path.write_bytes(path.read_bytes()[:-3])

    with pytest.raises(TrainingError, match=r"s\.wav is no WAV file .*in the middle of a sample, after 21 bytes"):
        audio_dataset_from_directory(tmp_path, verbose=False).to_array()


@pytest.mark.parametrize(("sizes", "left", "right"), [
    ((0.8, None), 8, 2), ((None, 0.25), 8, 2), ((3, None), 3, 7), ((None, 3), 7, 3), ((0.5, 0.3), 5, 3),
    ((2, 0.5), 2, 5),
])
def test_splits_have_the_first_samples_and_the_last(sizes, left, right):
    first, last = split_dataset(np.arange(10), *sizes)

    assert [int(x) for x in first] == list(range(left))
    assert [int(x) for x in last] == list(range(10 - right, 10))


@pytest.mark.parametrize("data", [
    np.arange(10), [np.arange(10), np.arange(10)], (np.arange(10), np.arange(10)), {"a": np.arange(10)},
    sg.data.Dataset.range(10), sg.data.Dataset.range(10).batch(3), sg.data.Dataset.range(10).batch(3).prefetch(1),
])
def test_shuffled_splits_are_those_of_pythons_random(data):
    order = list(range(10))
    random.Random(7).shuffle(order)

    first, last = split_dataset(data, left_size=6, shuffle=True, seed=7)

    found = [np.concatenate([np.atleast_1d(flatten(x)[0].numpy()) for x in part]).tolist() for part in (first, last)]
    assert found == [order[:6], order[6:]]
    assert len(found[0]) == len(first) or len(first) == 2  # batches of 3 are made again


def test_shuffled_windows_keep_their_targets_and_lose_none():
    dataset = timeseries_dataset_from_array(np.arange(50), np.arange(50) * 2, 5, batch_size=4, shuffle=True, seed=1)

    passes = [[(x[0], y) for batch in dataset for x, y in zip(*(p.tolist() for p in batch), strict=True)] for _ in "ab"]

    assert passes[0] != passes[1]
    assert all(sorted(p) == [(i, 2 * i) for i in range(46)] for p in passes)


def test_windows_are_read_from_files_step_by_step(tmp_path):
    np.arange(100, dtype=np.float64).tofile(tmp_path / "series")
    series = np.memmap(tmp_path / "series", np.float64, "r")

    dataset = timeseries_dataset_from_array(series, None, 3, batch_size=2)

    assert next(iter(dataset)).tolist() == [[0, 1, 2], [1, 2, 3]]
