/**
 * Does what the tests ask: node run.mjs TRAIN_STEP.mjs < tasks.json > answers.json
 *
 * Uses what onnxruntime-web documents, as a page would, on its WebAssembly backend.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

import * as ort from "onnxruntime-web";

const { readTrainStep, withState } = await import(pathToFileURL(process.argv[2]));

const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array };

function tensor({ type, dims, data }) {
  return new ort.Tensor(type, ARRAYS[type].from(type === "int64" ? data.map(BigInt) : data), dims);
}

const tensors = (named) => Object.fromEntries(Object.entries(named).map(([name, x]) => [name, tensor(x)]));

const hex = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength).toString("hex");

/** Train on batches, write the file as it then starts, and say what came of it. */
async function train({ file, trained, batches }) {
  const bytes = readFileSync(file);
  const step = readTrainStep(bytes);
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  let state = step.initialState(ort);
  const losses = [];
  const metrics = [];
  for (const batch of batches) {
    const results = await session.run({ ...tensors(batch), ...state });
    state = step.nextState(results, state);
    losses.push(results[step.loss].data[0]);
    metrics.push(Object.fromEntries(Object.entries(step.metrics).map(([name, x]) => [name, results[x].data[0]])));
  }
  if (trained) writeFileSync(trained, withState(bytes, state));
  const { kind, x, y, sampleWeight, predictions, gradients } = step;
  return { losses, metrics, step: { kind, x, y, sampleWeight, state: step.state, loss: step.loss, predictions, gradients } };
}

/** Read the state at the start and write it back, from a view in the midst of other bytes. */
async function read({ file, trained }) {
  const data = readFileSync(file);
  const around = new Uint8Array(data.length + 8).fill(255);
  around.set(data, 5);
  const bytes = around.subarray(5, 5 + data.length);
  const state = readTrainStep(bytes).initialState(ort);
  writeFileSync(trained, withState(bytes, state));
  return Object.fromEntries(Object.entries(state).map(([name, x]) => [name, [x.type, x.dims, hex(x.data)]]));
}

/** Change the state to one that does not fit. */
async function change({ file, state }) {
  withState(readFileSync(file), tensors(state));
}

const answers = [];
for (const task of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    answers.push(await { train, read, change }[task.do](task));
  } catch (error) {
    answers.push({ error: error.message });
  }
}
console.log(JSON.stringify(answers));
