import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { hasEnded } from "@flotilla/client";
import { until } from "@flotilla/testkit";
import { EventView, SubmitView, WorkflowView } from "@flotilla/workflow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fleet } from "./fleet.ts";
import { type Ended, ended, flotilla, jsonLines, spawnFlotilla } from "./flotilla.ts";
import { inTurn, planOf, probe, together } from "./plans.ts";
import { expectQuotationsToStand, readReport } from "./reports.ts";
import { Wire } from "./wire.ts";

const harbour = join(import.meta.dirname, "fixtures/harbour");

let folder: string;
let fleet: Fleet;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-cli-"));
  await cp(harbour, join(folder, "docs/harbour"), { recursive: true });
  await mkdir(join(folder, "docs/empty"));
  await mkdir(join(folder, "docs/binaries"));
  await writeFile(join(folder, "docs/binaries/picture.png"), Buffer.from("89504e470d0a1a0a0000000d49484452", "hex"));
  await writeFile(join(folder, "docs/binaries/data.md"), Buffer.from([0, 1, 2, 3, 0xff, 0xfe, 0]));
  fleet = await Fleet.start({ cwd: folder, dataDir: join(folder, "data"), args: ["--docs", join(folder, "docs")] });
});
afterAll(async () => {
  await fleet.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a command where the fleet is found by its data folder. */
const ask = (...args: string[]): Promise<Ended> => flotilla([...args, "--data-dir", "data"], { cwd: folder });

async function fileOf(name: string, content: unknown): Promise<string> {
  await writeFile(join(folder, name), JSON.stringify(content));
  return name;
}

/** Where `run` has put that file, by its last line. */
function artifactOf(said: Ended, name: string): string {
  const artifacts = jsonLines(said).at(-1)?.artifacts;
  const found = Array.isArray(artifacts) ? artifacts.find((artifact) => artifact.name === name) : undefined;
  return found?.path ?? `no ${name} in: ${said.stdout.slice(-500)} ${said.stderr}`;
}

describe("a workflow by command line", () => {
  test("submit, get, list, events and cancel speak as the API does, one JSON object a line", async () => {
    const plan = await fileOf(
      "plan.json",
      planOf(inTurn("p", [probe("a", { output: "{{input.n}}" }), probe("b")])).plan,
    );
    const submitted = await ask(
      "submit",
      "--json",
      "--plan",
      plan,
      "--tag",
      "kind=cli",
      "--priority",
      "high",
      '{"n":5}',
    );
    expect(submitted).toMatchObject({ code: 0, stderr: "" });
    const [first, ...more] = jsonLines(submitted);
    const { id } = SubmitView.parse(first);
    expect(more).toEqual([]);

    const followed = await ask("events", id, "--follow", "--json");
    const events = jsonLines(followed).map((line) => EventView.parse(line));
    expect(followed.code).toBe(0);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
    expect(events.at(-1)?.type).toBe("workflow.completed");

    const wire = new Wire(fleet.ready);
    const [got, listed, cancelled, rest] = await Promise.all([
      ask("get", id, "--json"),
      ask("list", "--json", "--tag", "kind=cli", "--status", "completed"),
      ask("cancel", id, "--json"),
      ask("events", id, "--json", "--after", "3"),
    ]);
    expect(jsonLines(got)).toEqual([(await wire.call(`GET /v1/workflows/${id}`)).json]);
    expect(jsonLines(got)[0]).toMatchObject({ status: "completed", priority: "high", tags: { kind: "cli" } });
    expect(jsonLines(got)[0]).toMatchObject({ tasks: [{ output: { output: 5 } }, {}] });
    expect(jsonLines(listed)).toEqual([(await wire.call("GET /v1/workflows?tag=kind:cli")).json]);
    expect(jsonLines(cancelled)).toMatchObject([{ id, status: "completed" }]);
    expect(jsonLines(rest)).toEqual(jsonLines(followed).slice(3));
  });

  test("the same Idempotency-Key gives the same id, which is all that a person is told on stdout", async () => {
    const same = ["submit", "--agent", "probe", "--idempotency-key", "once", '{"output":1}'];
    const [one, two] = await Promise.all([ask(...same), ask(...same)]);
    expect(one.stdout).toMatch(/^wf_[0-9a-z]{2}_[0-9a-z]{26}\n$/);
    expect(two.stdout).toBe(one.stdout);
  });

  test("retry and fork go on from what was done, and get shows it", async () => {
    const plan = await fileOf(
      "history.json",
      planOf(inTurn("p", [probe("a"), probe("b", { fail: [{ attempt: 1, class: "data" }], output: "{{input}}" })]))
        .plan,
    );
    const id = (await ask("submit", "--plan", plan, "first")).stdout.trim();
    expect((await fleet.client.wait(id)).status).toBe("failed");
    const retried = await ask("retry", id, "--json");
    expect(retried).toMatchObject({ code: 0, stderr: "" });
    expect(SubmitView.parse(jsonLines(retried)[0])).toMatchObject({ id, status: "running" });
    expect(await fleet.client.wait(id)).toMatchObject({ status: "completed", result: { b: { output: "first" } } });
    expect(await ask("retry", id)).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("completed") });

    const events = jsonLines(await ask("events", id, "--json")).map((line) => EventView.parse(line));
    const at = events.find(({ type, taskId }) => type === "task.completed" && taskId === "a")?.seq ?? 0;
    const forked = await ask("fork", id, "--from", String(at), "--input", "second");
    expect(forked).toMatchObject({ code: 0, stdout: expect.stringMatching(/^wf_[0-9a-z]{2}_[0-9a-z]{26}\n$/) });
    const fork = forked.stdout.trim();
    expect(fork).not.toBe(id);
    // The failure of the first attempt belongs to that attempt, and the fork begins with it.
    expect(await fleet.client.wait(fork)).toMatchObject({ status: "failed", input: "second" });
    const end = String(events.length);
    const refused = await ask("fork", id, "--from", end);
    expect(refused).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("largest allowed") });
  });

  test("run exits 0 on success, and 1 when the workflow fails, is aborted or is cancelled", async () => {
    const plan = await fileOf("good.json", planOf(together("p", [probe("a", { output: "{{input}}!" })])).plan);
    const fails = (kind: string) => JSON.stringify({ fail: [{ attempt: 1, class: kind }] });
    const [good, failed, aborted] = await Promise.all([
      ask("run", "--json", "--plan", plan, "ahoy"),
      ask("run", "--json", "--agent", "probe", fails("data")),
      ask("run", "--agent", "probe", fails("critical")),
    ]);
    expect([good.code, failed.code, aborted.code]).toEqual([0, 1, 1]);
    const lines = jsonLines(good);
    expect(lines.slice(0, -1).map((line) => EventView.parse(line).seq)).toEqual(
      lines.slice(0, -1).map((_, at) => at + 1),
    );
    const { event, artifacts: _, ...view } = lines.at(-1) ?? {};
    expect(event).toBe("result");
    expect(WorkflowView.parse(view)).toMatchObject({ status: "completed", result: { output: "ahoy!" } });
    expect(jsonLines(failed).at(-1)).toMatchObject({ event: "result", status: "failed", error: { class: "data" } });
    expect(aborted.stderr).toContain("aborted");
  });

  test("run that is interrupted exits 130 with the id, and the workflow goes on", async () => {
    const child = spawnFlotilla(
      ["run", "--json", "--agent", "probe", '{"sleepMs":3000,"output":"went on"}', "--data-dir", "data"],
      { cwd: folder },
    );
    const said = ended(child);
    if (!child.stdout) throw new Error("a child without the pipe that it was given");
    for await (const line of createInterface({ input: child.stdout })) if (line.includes("task.started")) break;
    child.kill("SIGINT");
    const { code, stderr } = await said;
    expect(code).toBe(130);
    const id = /wf_[0-9a-z]{2}_[0-9a-z]{26}/.exec(stderr)?.[0] ?? "no id";
    expect(await fleet.client.wait(id)).toMatchObject({ status: "completed", result: { output: "went on" } });
  });

  test("run of a workflow that somebody cancels exits 1", async () => {
    const child = spawnFlotilla(
      ["run", "--agent", "probe", '{"sleepMs":30000}', "--tag", "stop=me", "--data-dir", "data"],
      {
        cwd: folder,
      },
    );
    const said = ended(child);
    const id = await until(
      async () => (await fleet.client.list({ tag: { key: "stop", value: "me" } })).workflows[0]?.id,
    );
    expect((await ask("cancel", id, "--reason", "enough")).code).toBe(0);
    expect(await said).toMatchObject({ code: 1, stderr: expect.stringContaining("cancelled") });
    expect(hasEnded((await fleet.client.get(id)).status)).toBe(true);
  });
});

describe("what is refused", () => {
  const none = "wf_00_00000000000000000000000000";
  test.each([
    ["an id that nobody has", 2, ["get", none]],
    ["an agent that nobody is", 2, ["run", "--agent", "nobody", "x"]],
    ["a plan that cannot run", 2, ["run", "--plan", "cycle.json", "x"]],
    ["documents that are not there", 2, ["run", "why?", "--docs", "nowhere"]],
    ["a key that is none of ours", 78, ["list", "--key", "flk_wrong"]],
    ["an address where nobody is", 69, ["list", "--url", "http://127.0.0.1:1"]],
    ["a folder without a fleet", 69, ["list", "--data-dir", "elsewhere"]],
  ])("%s exits %i with a sentence, and nothing on stdout", async (_, code, args) => {
    await fileOf("cycle.json", planOf(together("p", [probe("a", {}, { dependsOn: ["a"] })])).plan);
    const said = await flotilla(args.includes("--data-dir") ? args : [...args, "--data-dir", "data"], { cwd: folder });
    expect(said).toMatchObject({ code, stdout: "" });
    expect(said.stderr).toMatch(/[a-z]{3,}/);
    expect(said.stderr).not.toMatch(/^ +at /m);
  });
});

describe("keys", () => {
  test("are made, listed without their secret, and refused within 5 s when revoked", async () => {
    const made = await ask("keys", "create", "--tenant", "guest", "--json");
    const { apiKey } = Object(jsonLines(made)[0]);
    expect(jsonLines(made)).toEqual([{ tenant: "guest", role: "user", apiKey: expect.stringMatching(/^\S{20,}$/) }]);
    const wire = new Wire(fleet.ready);
    const asGuest = () => wire.call("GET /v1/workflows", { key: apiKey });
    expect((await asGuest()).status).toBe(200);
    const listed = await ask("keys", "list", "--json");
    expect(listed.stdout).not.toContain(apiKey);
    const record = jsonLines(listed).find(({ tenant }) => tenant === "guest");
    const revoked = await ask("keys", "revoke", String(record?.id));
    expect(revoked.code).toBe(0);
    // The rest is for a machine that is busy.
    await until(async () => (await asGuest()).status === 401, { timeoutMs: 8000, what: "the end of the key" });
    expect((await ask("keys", "revoke", "deadbeef")).code).toBe(2);
  });
});

test("doctor finds nothing wrong with a fleet that is up, and says what it looked at", async () => {
  const said = await ask("doctor", "--json");
  const checks = jsonLines(said).map(({ check }) => check);
  expect(checks).toEqual(expect.arrayContaining(["node", "redis", "redis-latency", "clock-skew"]));
  // The in-memory Redis is not durable, and doctor says so.
  expect(said.code).toBe(fleet.ready.redis.durable ? 0 : 78);
});

describe("a question over documents", () => {
  test("becomes a report whose every quotation stands where it is cited, and bears on the question", async () => {
    const docs = join(folder, "docs/harbour");
    const question = "When is a pilot required, and where does the pilot board in a gale?";
    const said = await ask("run", "--json", "--docs", docs, question);
    expect(said.code, said.stderr).toBe(0);
    const report = await readReport(artifactOf(said, "report.json"));
    expect(report).toMatchObject({ question, model: "extractive" });
    expect(report.answer.length).toBeGreaterThan(0);
    const cited = await expectQuotationsToStand(report, docs);
    expect(cited).toContain("pilotage.md");
    const quotes = report.answer.flatMap(({ citations }) => citations.map(({ quote }) => quote)).join("\n");
    expect(quotes).toMatch(/longer than 90 metres|boards inside the breakwater/);
    expect(await readFile(artifactOf(said, "report.md"), "utf8")).toContain("pilotage.md");
  });

  test.each([
    ["an empty folder", "docs/empty", "When is a pilot required?"],
    ["a folder of binaries", "docs/binaries", "When is a pilot required?"],
    ["documents that do not know", "docs/harbour", "Which vaccine protects reindeer from anthrax?"],
  ])("over %s has no answer, says so in words and exits 0", async (_, docs, question) => {
    const said = await ask("run", "--json", "--docs", docs, question);
    expect(said.code, said.stderr).toBe(0);
    const report = await readReport(artifactOf(said, "report.json"));
    expect(report.answer).toEqual([]);
    expect(report.reason).toMatch(/\w+ \w+ \w+/);
    expect(await readFile(artifactOf(said, "report.md"), "utf8")).toContain(report.reason);
  });
});
