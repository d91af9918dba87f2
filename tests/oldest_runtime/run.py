"""Run what make.py exported with nothing but onnxruntime and NumPy: python run.py FOLDER"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime


def as_array(result):
    """A result as numbers; of a sequence of maps, as scikit-learn's converter makes it, the values by key."""
    if isinstance(result, list):
        result = [[row[key] for key in sorted(row)] for row in result]
    return np.asarray(result)


def main():
    paths = sorted(Path(sys.argv[1]).glob("*.onnx"))
    assert paths, "nothing was exported"
    failed = []
    for path in paths:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        with np.load(path.with_name(path.name.split(".")[0] + ".npz")) as stored:
            feeds = {x.name: stored[f"in{i}"] for i, x in enumerate(session.get_inputs())}
            for i, result in enumerate(session.run(None, feeds)):
                if not np.allclose(as_array(result), stored[f"out{i}"], rtol=2e-4, atol=2e-5):
                    failed.append(f"{path.name} output {i}")
    print(f"onnxruntime {onnxruntime.__version__}: {len(paths)} files run, outputs that differ: {len(failed)}", *failed,
          sep="\n")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
