import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { FailureView } from "@flotilla/workflow";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { buildProgram } from "../src/program.ts";

const idOf = (n: number) => `wf_00_${String(n).padStart(26, "0")}`;
const minuteMs = 60_000;

/** The nth failure from the newest, which ended n minutes ago. */
function failureOf(n: number, code = "bad"): FailureView {
  const endedAt = new Date(Date.now() - n * minuteMs).toISOString();
  return {
    id: idOf(n),
    status: n % 2 === 0 ? "failed" : "aborted",
    error: { class: "data", code, message: "not so", taskId: "t" },
    task: { id: "t", phase: "p", agent: "worker", attempts: 3, input: {} },
    events: [{ seq: 9, type: "task.failed", at: endedAt, taskId: "t", attempt: 3, data: {} }],
    priority: "normal",
    tags: {},
    createdAt: endedAt,
    endedAt,
  };
}

let failures: FailureView[];
let requests: { method: string; url: URL; key: string | undefined; body: string }[];
let refused: Set<string>;
let url: string;
let close: () => void;

/** An API that has these failures, two a page. */
async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = "", headers } = request;
  const asked = new URL(request.url ?? "", "http://api");
  const body = await text(request);
  requests.push({ method, url: asked, key: headers["idempotency-key"]?.toString(), body });
  const [, id = "", action] = /^\/v1\/workflows\/([^/]+)\/(retry|fork)$/.exec(asked.pathname) ?? [];
  response.setHeader("content-type", "application/json");
  if (refused.has(id)) {
    response.writeHead(409).end(JSON.stringify({ title: "", detail: "it runs", code: "not-retryable" }));
  } else if (action !== undefined) {
    const links = { self: "", events: "", cancel: "" };
    const made = action === "fork" ? idOf(99) : id;
    response.writeHead(202).end(JSON.stringify({ id: made, status: "running", links }));
  } else if (asked.pathname.endsWith("/events")) {
    const types = ["workflow.submitted", "workflow.started", "task.failed", "workflow.failed"];
    const at = new Date(0).toISOString();
    response.end(JSON.stringify({ events: types.map((type, index) => ({ seq: index + 1, type, at, data: {} })) }));
  } else {
    const start = Number(asked.searchParams.get("cursor") ?? 0);
    const cursor = start + 2 < failures.length ? { cursor: String(start + 2) } : {};
    response.end(JSON.stringify({ failures: failures.slice(start, start + 2), ...cursor }));
  }
}

beforeEach(async () => {
  failures = [0, 1, 2, 3, 4].map((n) => failureOf(n));
  requests = [];
  refused = new Set();
  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  close = () => (server.closeAllConnections(), server.close());
});
afterEach(() => {
  close();
  vi.restoreAllMocks();
});

async function flotilla(...args: string[]): Promise<{ said: string[]; noted: string; code: number | undefined }> {
  const said: string[] = [];
  const noted: string[] = [];
  vi.spyOn(process.stdout, "write").mockImplementation((line) => (said.push(String(line).trimEnd()), true));
  vi.spyOn(process.stderr, "write").mockImplementation((line) => (noted.push(String(line)), true));
  let code: number | undefined;
  await buildProgram((exit) => (code = exit)).parseAsync([...args, "--url", url, "--key", "k"], { from: "user" });
  return { said, noted: noted.join(""), code };
}
const retried = () => requests.flatMap(({ url: { pathname } }) => /workflows\/(.+)\/retry/.exec(pathname)?.[1] ?? []);

describe("retry by filter", () => {
  test("goes over all pages and retries each once, under a key of that very failure", async () => {
    const { said, noted, code } = await flotilla("retry", "--status", "failed");
    expect(retried().toSorted()).toEqual([0, 1, 2, 3, 4].map(idOf));
    expect(said).toHaveLength(5);
    expect(noted).toContain("5 retried");
    expect(code).toBe(0);
    const listed = requests.filter(({ method }) => method === "GET");
    expect(listed.map(({ url }) => url.searchParams.get("status"))).toEqual(["failed", "failed", "failed"]);
    const first = requests.find(({ url: { pathname } }) => pathname.includes(idOf(0)));
    expect(first?.key).toContain(failures[0]?.endedAt);
  });

  test("--dry-run retries nothing and says what it would", async () => {
    const { said, noted } = await flotilla("retry", "--dry-run");
    expect(retried()).toEqual([]);
    expect(said).toHaveLength(5);
    expect(said[0]).toContain("data/bad: not so");
    expect(noted).toContain("5 would be retried");
  });

  test("stops at --limit, and takes what --since, --code, --class and --agent say", async () => {
    failures.splice(2, 1, failureOf(2, "other"));
    await flotilla("retry", "--since", "1d", "--limit", "2");
    expect(retried().toSorted()).toEqual([0, 1].map(idOf));
    requests = [];
    await flotilla("retry", "--since", "150s", "--code", "bad", "--class", "data", "--agent", "worker");
    expect(retried().toSorted()).toEqual([0, 1].map(idOf));
    requests = [];
    await flotilla("retry", "--code", "other", "--tag", "team=ops", "--json");
    expect(retried()).toEqual([idOf(2)]);
    expect(requests[0]?.url.searchParams.get("tag")).toBe("team:ops");
  });

  test("passes over what somebody else was first with", async () => {
    refused.add(idOf(3));
    const { said, noted, code } = await flotilla("retry", "--since", "1d");
    expect(said).toHaveLength(4);
    expect(noted).toContain("4 retried, 1 could not be");
    expect(code).toBe(0);
  });
});

test("retry of one with another input is a fork of it from the last place there is", async () => {
  const { said } = await flotilla("retry", idOf(1), "--input", '{"amount":2}');
  expect(said).toEqual([idOf(99)]);
  expect(requests.at(-1)?.url.pathname).toBe(`/v1/workflows/${idOf(1)}/fork`);
  expect(JSON.parse(requests.at(-1)?.body ?? "")).toEqual({ fromSeq: 3, input: { amount: 2 } });
});

test("failures says why, with the last events", async () => {
  const { said } = await flotilla("failures", "--limit", "1");
  expect(said).toHaveLength(3);
  expect(said.join("\n")).toMatch(/p\/t {2}worker {2}data\/bad: not so\n {2}3 attempts.*\n.*task\.failed/);
});
