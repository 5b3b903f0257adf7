import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requestFrom } from "../src/request.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-request-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function planFile(text: string): Promise<string> {
  const file = join(folder, "plan.json");
  await writeFile(file, text);
  return file;
}

describe("the input", () => {
  test("is text, unless it begins like an object", async () => {
    await expect(requestFrom("why?", { tag: [] })).resolves.toEqual({ input: "why?" });
    await expect(requestFrom('{"a":[1]}', { tag: [] })).resolves.toEqual({ input: { a: [1] } });
    await expect(requestFrom("[1]", { tag: [] })).resolves.toEqual({ input: "[1]" });
  });

  test("may be one whose plan waits for a person", async () => {
    await expect(requestFrom("why?", { tag: [], approvePlan: true })).resolves.toEqual({
      input: "why?",
      approvePlan: true,
    });
  });

  test("that begins like an object and is none is refused with what is wrong", async () => {
    await expect(requestFrom("{a: 1}", { tag: [] })).rejects.toMatchObject({ exitCode: 2, message: /is no JSON/ });
  });

  test("becomes the question about a documents folder, by its absolute path", async () => {
    const request = await requestFrom("why?", { tag: [] }, folder);
    expect(request.input).toEqual({ question: "why?", docs: folder });
  });

  test.each([
    ["missing", () => join(folder, "nowhere"), /does not exist/],
    ["a file", () => planFile("{}"), /is a file and not a folder/],
  ])("about a documents folder that is %s is refused", async (_, path, message) => {
    await expect(requestFrom("why?", { tag: [] }, await path())).rejects.toMatchObject({ exitCode: 2, message });
  });
});

describe("the plan", () => {
  const task = { id: "a", agent: "probe", input: {} };

  test("goes into the request", async () => {
    const plan = { phases: [{ name: "one", parallel: true, tasks: [task] }] };
    const file = await planFile(JSON.stringify(plan));
    await expect(requestFrom("q", { plan: file, tag: [] })).resolves.toEqual({ input: "q", plan });
  });

  test.each([
    ['{\n  "phases": [,]\n}', "line 2"],
    ['{\n  "phases": [\n', "line 3"],
    ['{\n  "phases": [],\n}', "line 3"],
    ["", "line 1"],
  ])("that is no JSON is refused with file and line: %j", async (text, line) => {
    const file = await planFile(text);
    const refusal = requestFrom("q", { plan: file, tag: [] });
    await expect(refusal).rejects.toMatchObject({ exitCode: 2 });
    await expect(refusal).rejects.toThrow(`${file}, ${line}, is no JSON: `);
  });

  test("that is not a plan is refused with every place that is wrong", async () => {
    const file = await planFile(JSON.stringify({ phases: [{ name: "a b", tasks: [{ ...task, agent: "X" }] }] }));
    const refusal = await requestFrom("q", { plan: file, tag: [] }).catch((error: unknown) => String(error));
    for (const place of ["/phases/0/name", "/phases/0/parallel", "/phases/0/tasks/0/agent"])
      expect(refusal).toContain(place);
  });

  test("that cannot be read is refused", async () => {
    const plan = join(folder, "no-plan.json");
    await expect(requestFrom("q", { plan, tag: [] })).rejects.toMatchObject({ exitCode: 2, message: /cannot be read/ });
  });

  test("does not go with an agent", async () => {
    const plan = await planFile(JSON.stringify({ phases: [{ name: "one", parallel: true, tasks: [task] }] }));
    await expect(requestFrom("q", { plan, agent: "probe", tag: [] })).rejects.toThrow("not both");
  });
});

test("tags are split at their first equals sign", async () => {
  const request = await requestFrom("q", { tag: ["team=a", "x=b"] });
  expect(request.tags).toEqual({ team: "a", x: "b" });
  await expect(requestFrom("q", { tag: ["team"] })).rejects.toMatchObject({ exitCode: 2 });
});
