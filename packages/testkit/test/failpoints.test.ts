import { stripTypeScriptTypes } from "node:module";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFile } from "node:child_process";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { armed, failpointFlags, failpointsOf } from "../src/failpoints/failpoints.ts";
import { failpointsIn, instrument } from "../src/failpoints/instrument.ts";

const source = `
export class Queue {
  readonly #items: string[] = [];
  async #add(item: Promise<string>): Promise<number> {
    this.#items.push(await item);
    return this.#items.length;
  }
  async addAll(items: AsyncIterable<Promise<string>>): Promise<string[]> {
    for await (const item of items) await this.#add(Promise.resolve(item));
    const read = async () => [...(await Promise.resolve(this.#items))] as string[];
    return (await read()) satisfies string[];
  }
}
export const twice = async (text: string) => \`\${await Promise.resolve(await (async () => text)())} \${text}\`;
`;

describe("the failpoints of a source", () => {
  test("are two at every await, named by where it stands", () => {
    const names = failpointsIn("a.ts", source).map(({ name }) => name);
    const places = [
      "Queue.#add:1",
      "Queue.addAll:1",
      "Queue.addAll:2",
      "Queue.addAll.read:1",
      "Queue.addAll:3",
      "twice:1",
      "twice:2",
    ];
    expect(names).toEqual(places.flatMap((place) => [`a.ts:${place}:before`, `a.ts:${place}:after`]));
    expect(failpointsIn("a.ts", source).map(({ line }) => line)).toEqual(
      [5, 9, 9, 10, 11, 14, 14].flatMap((line) => [line, line]),
    );
    expect(failpointsIn("a.ts", source)[4]?.code).toBe("this.#add(Promise.resolve(item))");
  });

  test("are passed in the order of the program, which does what it did", async () => {
    const passed: string[] = [];
    const passFailpoint = (name: string, value: unknown) => {
      passed.push(name.slice("a.ts:".length));
      return value;
    };
    Object.assign(globalThis, { passFailpoint });
    onTestFinished(() => void Reflect.deleteProperty(globalThis, "passFailpoint"));
    const text = instrument("a.ts", source);
    expect(text.split("\n")).toHaveLength(source.split("\n").length);
    const module = `data:text/javascript,${encodeURIComponent(stripTypeScriptTypes(text))}`;
    const { Queue, twice } = await import(/* @vite-ignore */ module);
    async function* items() {
      yield "a";
      yield "b";
    }
    expect(await new Queue().addAll(items())).toEqual(["a", "b"]);
    const round = ["addAll:1:after", "addAll:2:before", "#add:1:before", "#add:1:after", "addAll:2:after"];
    const end = ["addAll:3:before", "addAll.read:1:before", "addAll.read:1:after", "addAll:3:after"];
    expect(passed).toEqual(["addAll:1:before", ...round, ...round, ...end].map((place) => `Queue.${place}`));
    passed.length = 0;
    expect(await twice("ho")).toBe("ho ho");
    expect(passed).toEqual(["twice:1:before", "twice:2:before", "twice:2:after", "twice:1:after"]);
  });

  test("are read from the source as it stands, and one that does not parse is an error", () => {
    const names = failpointsOf(["packages/testkit/src/until.ts"]).map(({ name }) => name);
    expect(names).toContain("packages/testkit/src/until.ts:until:1:after");
    expect(() => failpointsIn("b.ts", "const = 1")).toThrow("b.ts does not parse");
  });
});

describe("a process that is armed", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "failpoints-"));
    // Waits three times, in the source of the testkit itself, and says so each time.
    await writeFile(
      join(folder, "main.ts"),
      `import { until } from ${JSON.stringify(join(import.meta.dirname, "../src/until.ts"))};
       for (const word of ["one", "two", "three"] as const) {
         await until(() => word);
         process.stdout.write(word + " ");
       }`,
    );
  });
  afterAll(() => rm(folder, { recursive: true }));

  const at = (place: string) => `packages/testkit/src/until.ts:until:${place}`;
  const run = async (names: string[], pass: number) => {
    const log = join(folder, "log");
    await writeFile(log, "");
    const env = { ...process.env, ...armed({ names, pass, log }) };
    const args = [...failpointFlags, join(folder, "main.ts")];
    const { signal, said } = await new Promise<{ signal: unknown; said: string }>((resolve) =>
      execFile(process.execPath, args, { env }, (error, said) => resolve({ signal: error?.signal, said })),
    );
    return { signal, said, log: await readFile(log, "utf8") };
  };

  test.each([
    [1, ""],
    [2, "one "],
    [3, "one two "],
  ])("dies by SIGKILL at pass %i, after it has left word of where", async (pass, said) => {
    expect(await run([at("1:after")], pass)).toEqual({ signal: "SIGKILL", said, log: `${at("1:after")}\n` });
  });

  test("dies at whichever it comes to first, before anything of what is awaited has begun", async () => {
    expect(await run([at("1:after"), at("1:before")], 1)).toMatchObject({ log: `${at("1:before")}\n` });
  });

  test("lives on where it comes to none of them", async () => {
    expect(await run([at("2:before")], 1)).toEqual({ signal: undefined, said: "one two three ", log: "" });
  });
});
