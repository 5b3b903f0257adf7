import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildProgram } from "../src/program.ts";
import { flotilla, underOldNode } from "./launcher.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-commands-"));
});
afterEach(() => rm(folder, { recursive: true }));

const program = buildProgram(() => {});
const commands = program.commands.flatMap((command) => (command.commands.length > 0 ? command.commands : [command]));

test("every command of the contract is there, with a description and --json", () => {
  expect(commands.map((command) => command.name())).toEqual([
    "up",
    "run",
    "demo",
    "submit",
    "list",
    "get",
    "events",
    "cancel",
    "failures",
    "retry",
    "fork",
    "signal",
    "inbox",
    "approve",
    "deny",
    "settle",
    "intake",
    "agents",
    "pause",
    "resume",
    "secrets",
    "create",
    "list",
    "delete",
    "create",
    "list",
    "revoke",
    "doctor",
    "rebuild",
  ]);
  for (const command of commands) {
    expect(command.description()).not.toBe("");
    expect(command.options.map(({ long }) => long)).toContain("--json");
  }
});

test("--help and --version exit 0 and answer on stdout", async () => {
  const [help, version] = await Promise.all([flotilla(["up", "--help"], folder), flotilla(["--version"], folder)]);
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining("--agents"), stderr: "" });
  expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});

test("under an older Node the launcher goes on under the pinned one, and passes its exit code on", async () => {
  const version = await flotilla(["--version"], folder, {}, underOldNode);
  expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: "" });
  expect(await flotilla(["sail"], folder, {}, underOldNode)).toMatchObject({ code: 2 });
});

describe("wrong usage exits 2 with a sentence on stderr and nothing on stdout", () => {
  test.each([
    [["sail"], "unknown command 'sail'"],
    [["up", "--speed", "9"], "unknown option '--speed'"],
    [["up", "--port", "high"], "--port takes a number"],
    [["up", "--agents", "research"], "--agents takes type=N pairs"],
    [["get"], "missing required argument 'id'"],
    [["pause"], "missing required argument 'type'"],
    [["retry"], "name one workflow, or say which failures"],
    [["retry", "wf_1", "--status", "failed"], "name one workflow, or say which failures"],
    [["fork", "wf_1"], "required option '--from <seq>' not specified"],
    [["fork", "wf_1", "--from", "0"], "--from takes the number of an event"],
    [["fork", "wf_1", "--from", "3", "--input", "{"], "the input begins with { and is no JSON"],
    [["list", "--limit", "201"], "--limit takes a number from 1 to 200"],
    [["run", "why?", "--docs", "nowhere"], "nowhere does not exist"],
    [["submit", "why?", "--plan", "plan.json"], "plan.json, line 1, is no JSON"],
    [["keys", "create"], "--tenant"],
  ])("%j", async (args, sentence) => {
    await writeFile(join(folder, "plan.json"), "{");
    const ended = await flotilla(args, folder);
    expect(ended).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining(sentence) });
    expect(ended.stderr).not.toContain("    at ");
  });
});

describe("with nothing to talk to", () => {
  const id = "wf_00_00000000000000000000000000";

  test.each([
    [["get", id]],
    [["list"]],
    [["cancel", id]],
    [["retry", id]],
    [["fork", id, "--from", "1"]],
    [["submit", "q"]],
    [["keys", "list"]],
  ])("%j exits 69, says what to do and leaves no trace", async (args) => {
    const ended = await flotilla(args, folder);
    expect(ended).toMatchObject({ code: 69, stdout: "", stderr: expect.stringContaining("flotilla up") });
    expect(await readdir(folder)).toEqual([]);
  });

  test("an address that nobody serves exits 69", async () => {
    const ended = await flotilla(["get", id], folder, { FLOTILLA_URL: "http://127.0.0.1:1" });
    expect(ended).toMatchObject({ code: 69, stderr: expect.stringContaining("http://127.0.0.1:1") });
  });

  test("doctor exits 69 when the Redis that is named does not answer", async () => {
    const ended = await flotilla(["doctor", "--json"], folder, { REDIS_URL: "redis://127.0.0.1:1" });
    expect(ended.code).toBe(69);
    const findings = ended.stdout
      .trim()
      .split("\n")
      .map((line): unknown => JSON.parse(line));
    expect(findings).toContainEqual(expect.objectContaining({ check: "redis", verdict: "unreachable" }));
  });
});

test("a bad variable exits 78 with a readable list", async () => {
  const ended = await flotilla(["doctor"], folder, { REDIS_URL: "here", LOG_LEVEL: "loud" });
  expect(ended).toMatchObject({ code: 78, stdout: "" });
  expect(ended.stderr).toMatch(/REDIS_URL must be.*\n.*LOG_LEVEL must be|LOG_LEVEL must be.*\n.*REDIS_URL must be/);
});
