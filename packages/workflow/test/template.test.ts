import { findTemplates, type Json, resolveTemplates, TaskError } from "@flotilla/workflow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const outputs = new Map<string, Json>([
  ["a", { text: "hello", count: 3, list: [1, { deep: true }], none: null, "0": "zero" }],
  ["list", ["x", "y"]],
  ["text", "plain $& $1"],
  ["own", JSON.parse('{"__proto__": {"x": 1}, "constructor": "mine"}') as Json],
  ["null", null],
]);
const scope = { input: { question: "why", parts: ["p", "q"] }, output: (id: string) => outputs.get(id) };
const resolve = (value: Json) => resolveTemplates(value, scope);

describe("a string that is one template takes the value with its type", () => {
  test.each<[string, Json]>([
    ["{{tasks.a.output.text}}", "hello"],
    ["{{tasks.a.output.count}}", 3],
    ["{{ tasks.a.output.list }}", [1, { deep: true }]],
    ["{{tasks.a.output.list.1.deep}}", true],
    ["{{tasks.a.output.none}}", null],
    ["{{tasks.a.output.0}}", "zero"],
    ["{{tasks.list.output.1}}", "y"],
    ["{{tasks.null.output}}", null],
    ["{{tasks.own.output.__proto__.x}}", 1],
    ["{{tasks.own.output.constructor}}", "mine"],
    ["{{input}}", { question: "why", parts: ["p", "q"] }],
    ["{{input.parts.0}}", "p"],
  ])("%s", (template, value) => {
    expect(resolve(template)).toEqual(value);
  });
});

describe("in a longer string a template becomes text", () => {
  test.each([
    ["{{tasks.a.output.text}}!", "hello!"],
    [" {{tasks.a.output.count}}", " 3"],
    ["{{tasks.a.output.list}}{{input.question}}", '[1,{"deep":true}]why'],
    ["none: {{tasks.a.output.none}}", "none: null"],
    ["<{{tasks.text.output}}>", "<plain $& $1>"],
    ["{{{tasks.a.output.count}}}", "{3}"],
  ])("%s", (template, text) => {
    expect(resolve(template)).toBe(text);
  });
});

test("templates are filled in at any depth, and keys are left alone", () => {
  expect(resolve({ "{{input}}": ["{{input.question}}", { x: "{{tasks.a.output.count}}" }], n: 1, no: null })).toEqual({
    "{{input}}": ["why", { x: 3 }],
    n: 1,
    no: null,
  });
});

test("any path into a task that failed under continue is null", () => {
  expect(resolve(["{{tasks.gone.output}}", "{{tasks.gone.output.a.0.b}}", "<{{tasks.gone.output.a}}>"])).toEqual([
    null,
    null,
    "<null>",
  ]);
});

describe("a path that is not there fails the task with class data", () => {
  test.each([
    "{{tasks.a.output.nothing}}",
    "{{tasks.a.output.none.x}}",
    "{{tasks.a.output.text.0}}",
    "{{tasks.a.output.text.length}}",
    "{{tasks.list.output.2}}",
    "{{tasks.list.output.-1}}",
    "{{tasks.list.output.01}}",
    "{{tasks.list.output.length}}",
    "{{tasks.a.output.__proto__}}",
    "{{tasks.a.output.constructor.name}}",
    "{{tasks.list.output.constructor}}",
    "{{input.toString}}",
    "in {{input.nothing}} text",
  ])("%s", (template) => {
    const failure = (() => {
      try {
        return resolve(template);
      } catch (error) {
        return error instanceof TaskError ? error.failure : error;
      }
    })();
    expect(failure).toMatchObject({ class: "data", code: "missing-path" });
  });
});

test("what is found is what is named, with its place", () => {
  expect(findTemplates({ a: ["{{input.x}} {{tasks.t-1.output.0.y}}"], b: "{{nonsense}}", "{{input}}": 1 })).toEqual([
    { path: ["a", 0], text: "{{input.x}}", ref: { kind: "input", path: ["x"] } },
    { path: ["a", 0], text: "{{tasks.t-1.output.0.y}}", ref: { kind: "task", taskId: "t-1", path: ["0", "y"] } },
    { path: ["b"], text: "{{nonsense}}", ref: undefined },
  ]);
});

test("a value without templates stays as it is", () => {
  const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value).replaceAll("{{", "[[")) as Json);
  fc.assert(
    fc.property(json, (value) => {
      expect(resolve(value)).toEqual(value);
    }),
  );
});
