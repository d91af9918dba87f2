/**
 * Reading and writing the state in ONNX files of training steps, for browsers, Node and every other JavaScript.
 *
 * symgraph's `Model.export_train_step`, `export_grad` and `export_eval` write such files. ONNX Runtime runs them;
 * this module reads what ONNX Runtime leaves alone: which input and output is what, and the state at the start.
 * It depends on nothing.
 *
 *     import * as ort from "onnxruntime-web";
 *     import { readTrainStep, withState } from "./train_step.mjs";
 *
 *     const bytes = new Uint8Array(await (await fetch("step.onnx")).arrayBuffer());
 *     const step = readTrainStep(bytes);
 *     const session = await ort.InferenceSession.create(bytes);
 *     let state = step.initialState(ort);
 *     for (const { x, y } of batches) {
 *       const results = await session.run({ [step.x[0]]: x, [step.y[0]]: y, ...state });
 *       state = step.nextState(results, state);
 *       console.log(results[step.loss].data[0]);
 *     }
 *     const trained = withState(bytes, state); // the same file, which now starts here
 */

const KEY = "symgraph.step";
const VERSION = 1;

/** Fields of ONNX's messages, by their numbers in onnx.proto. */
const MODEL = { metadata: 14, trainingInfo: 20 };
const ENTRY = { key: 1, value: 2 };
const TRAINING_INFO = { initialization: 1, initializationBinding: 3 };
const GRAPH = { initializer: 5 };
const TENSOR = { dims: 1, dataType: 2, name: 8, rawData: 9 };

/** ONNX's element types: what ONNX Runtime calls them, how their bytes are seen, and how many bits they take. */
const DTYPES = {
  1: ["float32", Float32Array, 32],
  2: ["uint8", Uint8Array, 8],
  3: ["int8", Int8Array, 8],
  4: ["uint16", Uint16Array, 16],
  5: ["int16", Int16Array, 16],
  6: ["int32", Int32Array, 32],
  7: ["int64", BigInt64Array, 64],
  9: ["bool", Uint8Array, 8],
  10: ["float16", globalThis.Float16Array ?? Uint16Array, 16],
  11: ["float64", Float64Array, 64],
  12: ["uint32", Uint32Array, 32],
  13: ["uint64", BigUint64Array, 64],
  21: ["uint4", Uint8Array, 4],
  22: ["int4", Uint8Array, 4],
};

/**
 * What a file of a training step says of itself.
 *
 * `x`, `y` and `sampleWeight` list the inputs for a batch. `state` maps each input of the state to the output with
 * its next value, or to null where the step leaves it as it is. `loss` is an output; `metrics` maps names in logs to
 * outputs, `gradients` inputs of weights to outputs; `predictions` lists outputs. `kind` is "train", "grad" or "eval".
 *
 * `initialState(ort)` makes the tensors of the state at the start, by input name; whole numbers of 64 bits are in a
 * BigInt64Array, as ONNX Runtime has them. `nextState(results, state)` picks the next state from the results of a run.
 *
 * @param {Uint8Array | ArrayBuffer} data the bytes of the file
 * @returns {{kind: string, x: string[], y: string[], sampleWeight: string[], state: Object<string, string | null>,
 *   loss: string, metrics: Object<string, string>, predictions: string[], gradients: Object<string, string>,
 *   initialState: (ort: object) => Object<string, object>,
 *   nextState: (results: Object<string, object>, state: Object<string, object>) => Object<string, object>}}
 * @throws {Error} for a file that holds no step, or that a newer symgraph wrote
 */
export function readTrainStep(data) {
  const bytes = asBytes(data);
  const { roles, tensors } = readFile(bytes);
  return {
    kind: roles.kind,
    x: roles.x,
    y: roles.y,
    sampleWeight: roles.sample_weight,
    state: roles.state,
    loss: roles.loss,
    metrics: roles.metrics,
    predictions: roles.predictions,
    gradients: roles.gradients,
    initialState: (ort) => {
      if (!ort?.Tensor) throw new Error("initialState(ort) takes ONNX Runtime's module, which makes the tensors");
      return mapNames(roles.state, (name) => toTensor(ort, bytes, tensors.get(name), name));
    },
    nextState: (results, state) => {
      const next = ([name, output]) => [name, output === null ? state[name] : results[output]];
      const found = Object.entries(roles.state).map(next);
      const missing = found.filter(([, value]) => !value).map(([name]) => name).join(", ");
      if (missing) throw new Error(`the results have no next value of ${missing}; run for all outputs`);
      return Object.fromEntries(found);
    },
  };
}

/**
 * The file with another state at the start: `readTrainStep` and symgraph's `TrainStep.load` go on from there.
 *
 * @param {Uint8Array | ArrayBuffer} data the bytes of the file, which stay as they are
 * @param {Object<string, {type: string, dims: readonly number[], data: ArrayBufferView}>} state tensors by input name,
 *   as `nextState` gives them; those that are left out keep their value
 * @returns {Uint8Array}
 * @throws {Error} for a name, a type or dims that the file does not have
 */
export function withState(data, state) {
  const bytes = asBytes(data).slice();
  const { tensors } = readFile(bytes);
  for (const [name, value] of Object.entries(state)) {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`there is no state ${JSON.stringify(name)}; there are: ${[...tensors.keys()].join(", ")}`);
    const [type] = dtypeOf(tensor, name);
    if (value?.type !== type || String(value.dims) !== String(tensor.dims)) {
      const got = value?.type ? `${value.type}[${value.dims}]` : "no tensor";
      throw new Error(`${name} is ${type}[${tensor.dims}], got ${got}`);
    }
    const view = value.data;
    bytes.set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), tensor.start);
  }
  return bytes;
}

/** The roles, and by input name where the values of the state lie. */
function readFile(bytes) {
  let roles;
  let tensors = new Map();
  const bindings = new Map();
  for (const field of fields(bytes, 0, bytes.length)) {
    if (field.number === MODEL.metadata) {
      const [key, value] = entry(bytes, field);
      if (key === KEY) roles = parse(value);
    } else if (field.number === MODEL.trainingInfo) {
      for (const inner of fields(bytes, field.start, field.end)) {
        if (inner.number === TRAINING_INFO.initialization) tensors = initializers(bytes, inner);
        if (inner.number === TRAINING_INFO.initializationBinding) bindings.set(...entry(bytes, inner));
      }
    }
  }
  if (!roles) throw new Error("this is no training step: symgraph's Model.export_train_step writes them");
  if (roles.version > VERSION) {
    throw new Error(`a newer symgraph wrote this file (version ${roles.version}); take the train_step.mjs that it has`);
  }
  const found = Object.keys(roles.state).map((name) => [name, tensors.get(bindings.get(name))]);
  const missing = found.filter(([, tensor]) => !tensor).map(([name]) => name);
  if (missing.length) throw new Error(`the file has no state at the start for ${missing.join(", ")}`);
  return { roles, tensors: new Map(found) };
}

/** Key and value of a message that has both. */
function entry(bytes, { start, end }) {
  const found = ["", ""];
  for (const field of fields(bytes, start, end)) {
    if (field.number === ENTRY.key) found[0] = text(bytes, field);
    if (field.number === ENTRY.value) found[1] = text(bytes, field);
  }
  return found;
}

/** The tensors of a graph by name: element type, dims, and where the values lie. */
function initializers(bytes, { start, end }) {
  const found = new Map();
  for (const field of fields(bytes, start, end)) {
    if (field.number !== GRAPH.initializer) continue;
    const tensor = { name: "", dataType: 0, dims: [], start: 0, end: 0 };
    for (const inner of fields(bytes, field.start, field.end)) {
      if (inner.number === TENSOR.name) tensor.name = text(bytes, inner);
      else if (inner.number === TENSOR.dataType) tensor.dataType = inner.value;
      else if (inner.number === TENSOR.rawData) [tensor.start, tensor.end] = [inner.start, inner.end];
      else if (inner.number === TENSOR.dims && inner.value !== undefined) tensor.dims.push(inner.value);
      else if (inner.number === TENSOR.dims) {
        for (let at = inner.start; at < inner.end; ) {
          const [size, next] = varint(bytes, at, inner.end);
          tensor.dims.push(size);
          at = next;
        }
      }
    }
    found.set(tensor.name, tensor);
  }
  return found;
}

function toTensor(ort, bytes, tensor, name) {
  const [type, View, bits] = dtypeOf(tensor, name);
  const size = Math.ceil((tensor.dims.reduce((a, b) => a * b, 1) * bits) / 8);
  if (tensor.end - tensor.start !== size) {
    throw new Error(`${name} is ${type}[${tensor.dims}], which takes ${size} bytes; there are ${tensor.end - tensor.start}`);
  }
  return new ort.Tensor(type, new View(bytes.slice(tensor.start, tensor.end).buffer), tensor.dims);
}

function dtypeOf(tensor, name) {
  const found = DTYPES[tensor.dataType];
  if (!found) throw new Error(`${name} has ONNX's element type ${tensor.dataType}, which JavaScript has no tensors of`);
  return found;
}

/** The fields of a protobuf message, one after the other; those of a length have a start and an end, others a value. */
function* fields(bytes, start, end) {
  for (let at = start; at < end; ) {
    const [key, body] = varint(bytes, at, end);
    const wire = key % 8;
    const number = (key - wire) / 8;
    if (wire === 0) {
      const [value, next] = varint(bytes, body, end);
      yield { number, value };
      at = next;
    } else if (wire === 2) {
      const [length, first] = varint(bytes, body, end);
      at = first + length;
      if (at > end) throw broken();
      yield { number, start: first, end: at };
    } else if (wire === 1 || wire === 5) {
      at = body + (wire === 1 ? 8 : 4);
      if (at > end) throw broken();
    } else {
      throw broken();
    }
  }
}

function varint(bytes, at, end) {
  let value = 0;
  for (let factor = 1; at < end && factor < 2 ** 70; factor *= 128) {
    const byte = bytes[at++];
    value += (byte % 128) * factor;
    if (byte < 128) return [value, at];
  }
  throw broken();
}

/** The roles as written by symgraph, an object with a state. */
function parse(value) {
  try {
    const roles = JSON.parse(value);
    if (roles?.state) return roles;
  } catch {
    // said below, as for other texts that are no roles
  }
  throw new Error(`the file is damaged: its metadata ${KEY} does not say what its inputs and outputs are`);
}

const broken = () => new Error("this is no ONNX file, or only a part of one");

const text = (bytes, { start, end }) => new TextDecoder().decode(bytes.subarray(start, end));

/** A plain Uint8Array on the same memory: `slice` of Node's Buffer does not copy. */
function asBytes(data) {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const kind = Object.prototype.toString.call(data).slice(8, -1);
  if (kind === "ArrayBuffer" || kind === "SharedArrayBuffer") return new Uint8Array(data);
  throw new Error(`expected the bytes of the file, a Uint8Array or an ArrayBuffer, got ${kind}`);
}

const mapNames = (names, value) => Object.fromEntries(Object.keys(names).map((name) => [name, value(name)]));
