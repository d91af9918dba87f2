"""What Keras's data utilities are asked, and how: the same calls for Keras and for symgraph.

Each case is a function of the utilities' namespace and of a folder made by `make_folder`; it returns arrays.
"""

from pathlib import Path

import numpy as np
from PIL import Image

RECORDED = Path(__file__).with_name("keras_recorded.npz")

SIZES = {"cats/a.png": (7, 9), "cats/b.png": (12, 5), "dogs/c.bmp": (6, 6), "dogs/sub/d.png": (20, 31),
         "dogs/e.gif": (5, 8)}


def make_folder(path):
    """Pictures in folders, the same ones everywhere."""
    rng = np.random.default_rng(0)
    for name, size in SIZES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shape = size if name.endswith("gif") else (*size, 3)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path / name)
    (path / "cats" / "notes.txt").write_text("no picture")
    return path


def padded(**options):
    def case(utils, _folder):
        return [utils.pad_sequences([[1, 2, 3], [4], [], [5, 6, 7, 8, 9]], **options)]
    return case


def windows(data=20, targets=None, **options):
    def case(utils, _folder):
        series = np.arange(data, dtype=np.int32) * 10 if isinstance(data, int) else data
        goals = None if targets is None else np.arange(targets, dtype=np.int32) + 1000
        made = utils.timeseries_dataset_from_array(series, goals, format="grain", **options)
        return [np.asarray(part) for batch in made for part in (batch if isinstance(batch, tuple) else (batch,))]
    return case


def pictures(**options):
    def case(utils, folder):
        given = {"image_size": (6, 8), "shuffle": False, "verbose": False, "format": "grain", **options}
        made = utils.image_dataset_from_directory(folder, **given)
        return [np.asarray(part) for batch in made for part in (batch if isinstance(batch, tuple) else (batch,))]
    return case


def order(**options):
    """Not the pictures, but which files come in which order."""
    def case(utils, folder):
        made = utils.image_dataset_from_directory(folder, verbose=False, format="grain", seed=3, **options)
        made = made if isinstance(made, list) else [made]
        return [np.array([Path(p).relative_to(folder).as_posix() for p in part.file_paths]) for part in made]
    return case


def resized(method, size):
    def case(utils, _folder):
        picture = np.random.default_rng(1).uniform(0, 255, (9, 13, 2)).astype(np.float32)
        return [np.asarray(utils.resize(picture, size, method))]
    return case


def as_image(shape, factor=1, **options):
    def case(utils, _folder):
        pixels = np.random.default_rng(2).uniform(-3, 9, shape) * factor
        image = utils.array_to_img(pixels, **options)
        return [np.array([image.mode]), np.asarray(image), utils.img_to_array(image, options.get("data_format"))]
    return case


def loaded(name, **options):
    def case(utils, folder):
        return [utils.img_to_array(utils.load_img(folder / name, **options))]
    return case


def saved(name, shape, **options):
    def case(utils, folder):
        utils.save_img(folder / name, np.random.default_rng(3).uniform(0, 255, shape), **options)
        return [np.asarray(Image.open(folder / name))]
    return case


CASES = {
    "pad": padded(),
    "pad to 3": padded(maxlen=3),
    "pad after": padded(maxlen=4, padding="post", value=-1),
    "cut after": padded(maxlen=2, truncating="post"),
    "pad floats": padded(dtype="float32", value=0.5, padding="post"),
    "pad nothing long": padded(maxlen=7),
    "pad vectors": lambda utils, _: [utils.pad_sequences([[[1, 2]], [[3, 4], [5, 6]]], padding="post")],
    "pad words": lambda utils, _: [utils.pad_sequences([["a"], ["b", "cd"]], dtype=object, value="-").astype(str)],
    "windows": windows(sequence_length=4),
    "windows by 3": windows(sequence_length=4, sequence_stride=3),
    "windows of every second": windows(sequence_length=4, sampling_rate=2, batch_size=5),
    "windows and targets": windows(targets=20, sequence_length=3, sequence_stride=2, batch_size=4),
    "windows and fewer targets": windows(targets=6, sequence_length=3, batch_size=4),
    "windows of a part": windows(sequence_length=3, start_index=4, end_index=12),
    "windows and targets of a part": windows(targets=20, sequence_length=3, start_index=4, end_index=12),
    "windows one by one": windows(sequence_length=15, batch_size=None),
    "windows of vectors": windows(np.arange(24, dtype=np.float32).reshape(12, 2), sequence_length=5, sampling_rate=2),
    "pictures": pictures(),
    "pictures, nearest": pictures(interpolation="nearest"),
    "pictures, cropped": pictures(crop_to_aspect_ratio=True),
    "pictures, gray": pictures(color_mode="grayscale", label_mode="binary"),
    "pictures, transparent": pictures(color_mode="rgba", label_mode="categorical", batch_size=2),
    "pictures, channels first": pictures(data_format="channels_first", label_mode=None),
    "pictures, classes turned": pictures(class_names=["dogs", "cats"], batch_size=3),
    "pictures, one class": pictures(class_names=["dogs"]),
    "pictures, own labels": pictures(labels=[4, 3, 2, 1, 0]),
    "order": order(shuffle=False),
    "order, shuffled": order(),
    "order of training": order(validation_split=0.4, subset="training"),
    "order of validation": order(validation_split=0.4, subset="validation"),
    "order of both": order(validation_split=0.4, subset="both"),
    **{f"{method} to {size}": resized(method, size)
       for method in ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
       for size in ((4, 5), (20, 17), (9, 30))},
    "image": as_image((4, 5, 3)),
    "image as it is": as_image((4, 5, 3), scale=False, factor=20),
    "image, channels first": as_image((3, 4, 5), data_format="channels_first"),
    "image, gray": as_image((4, 5, 1)),
    "image, deep gray": as_image((4, 5, 1), scale=False, factor=200),
    "image, transparent": as_image((4, 5, 4)),
    "load": loaded("cats/a.png"),
    "load gray": loaded("cats/a.png", color_mode="grayscale"),
    "load transparent": loaded("dogs/c.bmp", color_mode="rgba"),
    "load at a size": loaded("dogs/sub/d.png", target_size=(8, 9), interpolation="bilinear"),
    "load at a size, keeping its shape": loaded("dogs/sub/d.png", target_size=(10, 8), keep_aspect_ratio=True,
                                                interpolation="lanczos"),
    "save": saved("s.png", (5, 6, 3)),
    "save as it is": saved("s.bmp", (5, 6, 3), scale=False),
    "save gray": saved("s.png", (5, 6, 1)),
}
