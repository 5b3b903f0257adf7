import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bareMachine } from "./bare-machine.ts";
import { type CommandOptions, flotilla, jsonLines, workspace } from "./flotilla.ts";
import { expectQuotationsToStand, readReport } from "./reports.ts";

const harbour = join(import.meta.dirname, "fixtures/harbour");

describe.each(["this machine", "one without Redis"])("the demo on %s", (kind) => {
  let folder: string;
  let machine: CommandOptions;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "flotilla-demo-"));
    machine = kind === "this machine" ? { cwd: folder } : await bareMachine(folder);
    await cp(harbour, join(folder, "harbour"), { recursive: true });
    await mkdir(join(folder, "empty"));
    await mkdir(join(folder, "binaries"));
    await writeFile(join(folder, "binaries/picture.png"), Buffer.from("89504e470d0a1a0a0000000d49484452", "hex"));
    await writeFile(join(folder, "binaries/data.md"), Buffer.from([0, 1, 2, 3, 0xff, 0xfe, 0]));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const demo = (...args: string[]) => flotilla(["demo", "--data-dir", "data", ...args], machine);

  test("answers its own question from its own documents within 60 s", async () => {
    const startedAt = performance.now();
    const said = await demo("--json");
    expect(said.code, said.stderr).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(60_000);
    const report = await readReport(reportOf(said.stdout, "report.json"));
    expect(report.answer.length).toBeGreaterThan(0);
    await expectQuotationsToStand(report, join(workspace, "docs"));
  });

  // What differs between the machines is where Redis comes from: one question and one refusal tell.
  const all = kind === "this machine";
  const questions: [string, string, RegExp][] = [
    ["How deep does the inner basin dry at the lowest tide?", "tides.txt", /2\.1 metres/],
    ["What is shown at the signal mast when the lock is closed?", "notices/lights.md", /three red lights/],
    ["When must a pilot be ordered?", "pilotage.md", /six hours ahead/],
  ];
  test.each(all ? questions : questions.slice(0, 1))("%s is answered from %s", async (question, path, words) => {
    const said = await demo("--docs", "harbour", question);
    expect(said.code, said.stderr).toBe(0);
    const paths = said.stdout.trimEnd().split("\n");
    const file = paths.find((line) => line.endsWith("report.json")) ?? "no report.json";
    expect(paths).toContainEqual(expect.stringMatching(/report\.md$/));
    expect(said.stdout).toContain(path);
    const report = await readReport(file);
    expect(await expectQuotationsToStand(report, join(folder, "harbour"))).toContain(path);
    expect(report.answer.flatMap(({ citations }) => citations.map(({ quote }) => quote)).join("\n")).toMatch(words);
  });

  const unanswerable: [string, string, string][] = [
    ["an empty folder", "empty", "Who may go without a pilot?"],
    ["a folder of binaries", "binaries", "Who may go without a pilot?"],
    ["documents that do not know", "harbour", "Which vaccine protects reindeer from anthrax?"],
  ];
  test.each(all ? unanswerable : unanswerable.slice(0, 1))(
    "over %s says in words that there is no answer, and exits 0",
    async (_, docs, question) => {
      const said = await demo("--docs", docs, question);
      expect(said.code, said.stderr).toBe(0);
      expect(said.stdout).toMatch(/no answer/i);
      const file = said.stdout.split("\n").find((line) => line.endsWith("report.json")) ?? "no report.json";
      const report = await readReport(file);
      expect(report.answer).toEqual([]);
      expect(report.reason).toMatch(/\w+ \w+ \w+/);
      expect(said.stdout).toContain(report.reason);
    },
  );

  test("over a folder that is not there says so and exits 2", async () => {
    const said = await demo("--docs", "nowhere", "why?");
    expect(said).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("nowhere") });
  });
});

function reportOf(stdout: string, name: string): string {
  const artifacts = jsonLines({ stdout }).at(-1)?.artifacts;
  const found = Array.isArray(artifacts) ? artifacts.find((artifact) => artifact.name === name) : undefined;
  return found?.path ?? `no ${name}`;
}
