"""A checkpoint file is whole or not there; what is read is what was written; bad files are refused."""

import io
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import warnings
import zipfile

import ml_dtypes
import numpy as np
import pytest

import symgraph as sg
from symgraph.training.checkpoints import check_checkpoint, latest_checkpoint, read_checkpoint, write_checkpoint

ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.float64(0.1),
    "empty": np.zeros((0, 3), np.int32),
    "bits": np.array([True, False]),
    "complex": np.array([1 + 2j]),
    "half": np.array([np.nan, np.inf, -0.0], np.float16),
    "bfloat16": np.arange(5).astype(ml_dtypes.bfloat16),
    "float8": np.arange(5).astype(ml_dtypes.float8_e4m3fn),
    "int4": np.array([-8, 7]).astype(ml_dtypes.int4),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(12)[::3],
    "../a/b\0 ": np.ones(1),
}
DATA = {"epoch": 3, "nan": float("nan"), "list": [1, "two", None, True, [-float("inf")]], "$key": {1: 2.5},
        "weights": [np.arange(3), {"inside": np.float32(0.25)}]}


def bits(x):
    return np.asarray(x).tobytes(), np.asarray(x).dtype, np.asarray(x).shape


@pytest.mark.parametrize("name", ARRAYS, ids=ascii)
def test_arrays_come_back_bit_for_bit(name, tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", {name: ARRAYS[name]})
    arrays, data = read_checkpoint(tmp_path / "a.ckpt")

    assert data is None
    assert bits(arrays[name]) == bits(np.ascontiguousarray(ARRAYS[name]).reshape(np.shape(ARRAYS[name])))


def test_arrays_of_the_other_byte_order_come_back_with_their_values(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", {"x": np.arange(3, dtype=">i4")})

    assert bits(read_checkpoint(tmp_path / "a.ckpt")[0]["x"]) == bits(np.arange(3, dtype=np.int32))


def test_data_come_back_with_the_arrays_inside(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", {}, DATA)
    _, data = read_checkpoint(tmp_path / "a.ckpt")

    assert repr(data) == repr(
        {**DATA, "weights": [np.arange(3), {"inside": np.array(0.25, np.float32)}]})


@pytest.mark.parametrize("data, text", [
    ({"a": [1, object()]}, r"data\['a'\]\[1\] is of type object"),
    ({"v": sg.tensor(1.0)}, r"data\['v'\] is of type Tensor.*give its \.numpy\(\)"),
    ([{(1, 2): 3}], r"data\[0\] has \(1, 2\) as a key"),
    ({"s": {1, 2}}, r"data\['s'\] is of type set"),
], ids=["object", "tensor", "key", "set"])
def test_data_that_cannot_be_kept_are_named(data, text, tmp_path):
    with pytest.raises(sg.TrainingError, match=text):
        write_checkpoint(tmp_path / "a.ckpt", {}, data)
    assert os.listdir(tmp_path) == []


def test_data_nested_without_end_are_refused(tmp_path):
    data = []
    for _ in range(300):
        data = [data]
    with pytest.raises(sg.TrainingError, match="nested deeper"):
        write_checkpoint(tmp_path / "a.ckpt", {}, data)


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["text"]), np.zeros(1, "datetime64[s]"),
                                   np.zeros(1, [("a", int)])], ids=lambda a: str(a.dtype))
def test_arrays_that_are_no_numbers_are_refused(array, tmp_path):
    with pytest.raises(sg.DtypeError, match="array x is of dtype"):
        write_checkpoint(tmp_path / "a.ckpt", {"x": array})


def test_folders_are_made(tmp_path):
    write_checkpoint(tmp_path / "a" / "b" / "c.ckpt", {"x": np.ones(1)})

    assert read_checkpoint(tmp_path / "a" / "b" / "c.ckpt")[0]["x"] == 1


def test_a_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.ckpt").symlink_to(tmp_path / "real" / "file.ckpt")
    write_checkpoint(tmp_path / "link.ckpt", {"x": np.ones(1)})

    assert (tmp_path / "link.ckpt").is_symlink()
    check_checkpoint(tmp_path / "real" / "file.ckpt")


# Which one is the latest.

def test_the_latest_is_the_one_written_last_whatever_its_name_and_date(tmp_path):
    for name in ("10", "9", "a"):
        write_checkpoint(tmp_path / f"{name}.ckpt", {})
    os.utime(tmp_path / "9.ckpt")

    assert latest_checkpoint(tmp_path) == tmp_path / "a.ckpt"


def test_a_torn_checkpoint_is_passed_over_and_stays(tmp_path):
    write_checkpoint(tmp_path / "1.ckpt", {"x": np.ones(100)})
    write_checkpoint(tmp_path / "2.ckpt", {"x": np.ones(100)})
    write_checkpoint(tmp_path / "3.ckpt", {"x": np.ones(100)})
    flip(tmp_path / "2.ckpt", 300)
    with open(tmp_path / "3.ckpt", "r+b") as file:
        file.truncate(500)

    with pytest.warns(UserWarning, match="passed over") as told:
        assert latest_checkpoint(tmp_path) == tmp_path / "1.ckpt"
    assert len(told) == 2
    assert sorted(os.listdir(tmp_path)) == ["1.ckpt", "2.ckpt", "3.ckpt"]


def test_a_folder_without_checkpoints_has_no_latest(tmp_path):
    assert latest_checkpoint(tmp_path) is latest_checkpoint(tmp_path / "absent") is None


# Bad files.

def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(bytes(content))


def rebuilt(edit, **options):
    """What changes the members of a good file, by name, and its manifest, and writes it again."""
    def change(path):
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(members.pop("manifest.json"))
        edit(members, manifest)
        with zipfile.ZipFile(path, "w", **options) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
            if manifest is not None:
                text = manifest["text"] if "text" in manifest else json.dumps(manifest)
                archive.writestr("manifest.json", text)
    return change


def manifest(**changes):
    return rebuilt(lambda members, manifest: manifest.update(changes))


def array(**changes):
    return rebuilt(lambda members, manifest: manifest["arrays"][0].update(changes))


def npy(value, **options):
    """Put another `.npy` file in the place of the first one, with its true sha256."""
    def edit(members, manifest):
        import hashlib

        content = io.BytesIO()
        np.save(content, value, allow_pickle=True)
        members["0.npy"] = content.getvalue()
        manifest["arrays"][0].update(sha256=hashlib.sha256(content.getvalue()).hexdigest(), **options)
    return rebuilt(edit)


def member(name, content=b"x"):
    return rebuilt(lambda members, manifest: members.update({name: content}))


def doubled(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("0.npy", b"second")


def link(path):
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")


def encrypted(path):
    content = path.read_bytes()
    place = content.index(b"PK\x01\x02")
    path.write_bytes(content[:place + 8] + b"\x01\x00" + content[place + 10:])


def bomb(path):
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2**24))


def claiming(path):
    """Two members whose sizes add up to more than the file."""
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    content[place + 20:place + 28] = (2**31).to_bytes(4, "little") * 2
    path.write_bytes(bytes(content))


def shortened(size):
    def change(path):
        with open(path, "r+b") as file:
            file.truncate(size)
    return change


def savez(path):
    with open(path, "wb") as file:
        np.savez(file, x=1)


BAD = {
    "absent": (lambda p: p.unlink(), sg.FormatError, "no such file"),
    "directory": (lambda p: (p.unlink(), p.mkdir()), sg.FormatError, "not a regular file"),
    "pipe": (lambda p: (p.unlink(), os.mkfifo(p)), sg.FormatError, "not a regular file"),
    "empty": (shortened(0), sg.FormatError, "not a checkpoint, or a damaged one"),
    "cut in the data": (shortened(300), sg.FormatError, "not a checkpoint, or a damaged one"),
    "web page": (lambda p: p.write_text("<html>"), sg.FormatError, "not a checkpoint, or a damaged one"),
    "NumPy archive": (savez, sg.FormatError, "without a manifest"),
    "data changed": (lambda p: flip(p, 250), sg.FormatError, "cannot be read: Bad CRC-32"),
    "hash changed": (array(sha256="0" * 64), sg.FormatError, "its sha256 is not that in the manifest"),
    "member missing": (rebuilt(lambda m, _: m.pop("0.npy")), sg.FormatError, "not those that its manifest lists"),
    "member too many": (member("other.npy"), sg.FormatError, "not those that its manifest lists"),
    "member doubled": (doubled, sg.FormatError, "has the member '0.npy' twice"),
    "parent folder": (member("../x.npy"), sg.UnsafeModelError, "leads out of the archive"),
    "absolute": (member("/x.npy"), sg.UnsafeModelError, "leads out of the archive"),
    "drive": (member("C:\\x.npy"), sg.UnsafeModelError, "leads out of the archive"),
    "link": (link, sg.UnsafeModelError, "leads out of the archive"),
    "encrypted": (encrypted, sg.FormatError, "is encrypted"),
    "compressed": (rebuilt(lambda *_: None, compression=zipfile.ZIP_DEFLATED), sg.FormatError, "is compressed"),
    "bomb": (bomb, sg.LimitError, "would grow from"),
    "sizes that cannot be": (claiming, sg.LimitError, "claim more bytes than the file has"),
    "later version": (manifest(version=99), sg.FormatError, "has the format version 99, this symgraph reads 1"),
    "version no number": (manifest(version=True), sg.FormatError, "has the format version True"),
    "other format": (manifest(format="weights"), sg.FormatError, "not that of a checkpoint"),
    "field missing": (rebuilt(lambda _, m: m.pop("written")), sg.FormatError, "manifest is not complete"),
    "no JSON": (manifest(text="{"), sg.FormatError, "its manifest: not valid JSON"),
    "NaN in JSON": (manifest(text='{"a": NaN}'), sg.FormatError, "NaN is no number in JSON"),
    "1e999 in JSON": (manifest(text='{"a": 1e999}'), sg.FormatError, "too large for a float"),
    "5000 digits": (manifest(text=f'{{"a": {"9" * 5000}}}'), sg.FormatError, "not valid JSON"),
    "key twice": (manifest(text='{"a": 1, "a": 2}'), sg.FormatError, "a key stands twice"),
    "deep JSON": (manifest(text="[" * 200_000), sg.FormatError, "nested too deep"),
    "byte order mark": (manifest(text="\ufeff{}"), sg.FormatError, "not valid JSON"),
    "JSON a list": (manifest(text="[]"), sg.FormatError, "not that of a checkpoint"),
    "arrays no list": (manifest(arrays={}), sg.FormatError, "manifest is not complete"),
    "array no dict": (manifest(arrays=[1]), sg.FormatError, "has 1 in the place of an array"),
    "name twice": (rebuilt(lambda _, m: m["arrays"][1].update(name="w")), sg.FormatError, "has an array twice"),
    "member shared": (rebuilt(lambda _, m: m["arrays"][1].update(member="0.npy")), sg.FormatError, "not those that"),
    "negative size": (array(shape=[-1]), sg.FormatError, "in the place of an array"),
    "shape bomb": (array(shape=[2**32, 2**32]), sg.LimitError, "takes .* bytes, the limit is"),
    "rank bomb": (array(shape=[1] * 65), sg.LimitError, "rank 64"),
    "other shape": (array(shape=[51]), sg.FormatError, r"its manifest says float32\[51\]"),
    "other dtype": (array(dtype="float64"), sg.FormatError, "its manifest says float64"),
    "unknown dtype": (array(dtype="float3"), sg.FormatError, "'float3' is not a dtype"),
    "strings": (array(dtype="string"), sg.UnsafeModelError, "is of objects, which would be unpickled"),
    "pickled objects": (npy(np.array([print], object)), sg.UnsafeModelError, "which would be unpickled"),
    "columns first": (npy(np.asfortranarray(np.ones((5, 10), np.float32)), shape=[5, 10]), sg.FormatError,
                      "its manifest says"),
    "other order of bytes": (npy(np.ones(50, ">f4")), sg.FormatError, "its manifest says"),
    "unknown mark": (manifest(data={"$code": "x"}), sg.FormatError, r"has '\$code' where a checkpoint has none"),
    "array that is not there": (manifest(data={"$array": 7}), sg.FormatError, r"has '\$array' where"),
    "infinite number": (manifest(data={"$float": "1e5"}), sg.FormatError, r"has '\$float' where"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused(case, tmp_path):
    damage, kind, text = BAD[case]
    path = tmp_path / "bad.ckpt"
    write_checkpoint(path, {"w": np.ones(50, np.float32), "b": np.ones(3)}, {"epoch": 1})
    damage(path)

    with pytest.raises(kind, match=text) as told:
        read_checkpoint(path)
    assert str(told.value).startswith(str(path))


def test_a_bit_that_changes_is_noticed_or_does_not_matter(tmp_path, rng):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, {"w": np.ones(50, np.float32)}, {"epoch": 1})
    good = path.read_bytes()
    read = []
    for position in range(len(good)):
        content = bytearray(good)
        content[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(content))
        try:
            arrays, data = read_checkpoint(path)
        except sg.SymgraphError:
            continue
        read.append(position)
        assert (arrays["w"] == 1).all() and data == {"epoch": 1}, position

    # what zip archives say of time, system and flags of members is not looked at
    assert len(read) < len(good) // 4


@pytest.mark.parametrize("part", range(20))
def test_a_file_cut_anywhere_is_refused(part, tmp_path):
    path = tmp_path / "a.ckpt"
    write_checkpoint(path, {"w": np.ones(500, np.float32)}, {"epoch": 1})
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size * part // 20)

    with pytest.raises(sg.FormatError, match="not a checkpoint, or a damaged one"):
        read_checkpoint(path)


# Writers that come to an end, and disks that are full.

KILLER = """
    import os, random, signal, sys, time
    import numpy as np
    from symgraph.training.checkpoints import read_checkpoint, write_checkpoint

    path, kills = sys.argv[1], int(sys.argv[2])
    rng = random.Random(0)
    write_checkpoint(path, {"x": np.zeros(200_000)}, {"number": 0})
    number = 0
    for kill in range(kills):
        child = os.fork()
        if child == 0:
            while True:
                number += 1
                write_checkpoint(path, {"x": np.full(200_000, float(number))}, {"number": number})
        time.sleep(rng.uniform(0.0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        arrays, data = read_checkpoint(path)
        assert data["number"] >= number and (arrays["x"] == data["number"]).all()
        number = data["number"]
        left = [name for name in os.listdir(os.path.dirname(path)) if name != os.path.basename(path)]
        assert len(left) <= 1 and all(name.endswith(".tmp") for name in left), left
    write_checkpoint(path, {}, {})
    print(number, os.listdir(os.path.dirname(path)))
"""
FULL = """
    import os, resource, signal, sys
    import numpy as np
    from symgraph.core.errors import ResourceError
    from symgraph.training.checkpoints import read_checkpoint, write_checkpoint

    path = sys.argv[1]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    write_checkpoint(path, {"x": np.zeros(10_000)}, {"number": 0})
    for limit in (0, 1, 100, 1000, 4096, 20_000, 79_000, 80_300):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            write_checkpoint(path, {"x": np.ones(10_000)}, {"number": 1})
        except ResourceError as error:
            assert "File too large" in str(error) and "is whole" in str(error), error
        else:
            raise AssertionError(limit)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert read_checkpoint(path)[1] == {"number": 0}
        assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)], limit
    print("whole")
"""


def run(script, *arguments):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are those of POSIX")
def test_a_writer_that_is_killed_leaves_the_last_file_whole(tmp_path):
    number, names = run(KILLER, tmp_path / "state.ckpt", 50).split(" ", 1)

    assert int(number) > 20
    assert names.strip() == "['state.ckpt']"


@pytest.mark.skipif(sys.platform == "win32", reason="limits are those of POSIX")
def test_a_full_disk_leaves_the_last_file_whole_and_nothing_else(tmp_path):
    assert run(FULL, tmp_path / "state.ckpt") == "whole\n"


# an interrupt between open() and its with statement leaves the file to the garbage collector
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers are those of POSIX")
def test_an_interrupted_writer_leaves_the_last_file_whole(tmp_path, rng):
    path = tmp_path / "state.ckpt"
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    write_checkpoint(path, {"x": np.zeros(300_000)}, 0)
    interrupts, last = 0, 0
    for number in range(1, 31):
        try:
            signal.setitimer(signal.ITIMER_REAL, float(rng.uniform(1e-5, 8e-3)))
            write_checkpoint(path, {"x": np.full(300_000, float(number))}, number)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupts += 1
        arrays, data = read_checkpoint(path)
        assert data in (last, number) and (arrays["x"] == data).all()
        last = data
    signal.signal(signal.SIGALRM, before)
    write_checkpoint(path, {}, None)

    assert interrupts > 3
    assert os.listdir(tmp_path) == ["state.ckpt"]


def test_a_writer_that_lives_keeps_its_temporary_file(tmp_path):
    from symgraph.runtime.files import replacing
    from symgraph.training.checkpoints import _mark_as_in_use

    with replacing(tmp_path / "state.ckpt") as file:
        _mark_as_in_use(file)
        write_checkpoint(tmp_path / "state.ckpt", {}, 1)
        file.write(b"later")

    assert (tmp_path / "state.ckpt").read_bytes() == b"later"


def test_other_files_are_left_alone(tmp_path):
    for name in (".other.ckpt.0123456789ab.tmp", ".state.ckpt.0123.tmp", "state.ckpt.tmp"):
        (tmp_path / name).write_text("mine")
    (tmp_path / ".state.ckpt.0123456789ab.tmp").write_text("left behind")
    write_checkpoint(tmp_path / "state.ckpt", {}, 1)

    assert sorted(os.listdir(tmp_path)) == [".other.ckpt.0123456789ab.tmp", ".state.ckpt.0123.tmp", "state.ckpt",
                                            "state.ckpt.tmp"]
