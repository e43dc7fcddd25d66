// Scores the self-test's rows and compares: node example.mjs (needs the package onnxruntime-node).
import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";

const at = (name) => new URL(name, import.meta.url);
const read = (name) => JSON.parse(readFileSync(at(name), "utf-8"));
const schema = read("schema.json");
const test = read("sample.json");
const session = await ort.InferenceSession.create(readFileSync(at("score.onnx")));

// A feature of all rows as the graph reads it: shape (rows, 1).
function column({ name, type }) {
  const values = test.rows.map((row) => row[name]);
  const shape = [values.length, 1];
  return type === "string"
    ? new ort.Tensor("string", values.map((v) => v ?? schema.null_text), shape)
    : new ort.Tensor("float64", Float64Array.from(values, (v) => v ?? NaN), shape);
}

const fed = Object.fromEntries(schema.inputs.map((input) => [input.name, column(input)]));
const found = await session.run(fed);
const [scores, predictions] = [schema.output, schema.prediction].map(({ name }) => [...found[name].data]);
const gap = (value, expected) => Math.abs(value - expected) / Math.max(1, Math.abs(expected));
const gaps = test.scores.flat().map((expected, i) => gap(scores[i], expected)); // of several classes one for each
// A prediction of null is too near to the threshold to tell.
const all = gaps.concat(test.predictions.map((expected, i) => (expected === null ? 0 : gap(predictions[i], expected))));
const largest = all.reduce((most, one) => Math.max(most, one), 0);
const wrong = all.filter((one) => !(one <= schema.tolerance)).length;
console.log(JSON.stringify({ rows: test.rows.length, largest_difference: largest, scores, predictions }));
process.exitCode = wrong ? 1 : 0; // an exit at once would cut off what a pipe has not taken yet
