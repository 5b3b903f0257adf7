import { readFile } from "node:fs/promises";
import { APICallError, UnsupportedFunctionalityError } from "@ai-sdk/provider";
import { type FailureClass, StoreUnavailableError, TaskError } from "@flotilla/workflow";
import { NoOutputGeneratedError, RetryError } from "ai";
import { describe, expect, test } from "vitest";
import { classify } from "../src/classify.ts";
import { rateLimited, realErrors } from "./fixtures/real-errors.ts";

function call(statusCode?: number): APICallError {
  return new APICallError({
    message: "the provider said no",
    url: "http://127.0.0.1/v1",
    requestBodyValues: {},
    ...(statusCode !== undefined && { statusCode }),
  });
}

function coded(code: string): Error {
  return Object.assign(new Error("the socket broke"), { code });
}

const taskError = new TaskError({ class: "critical", code: "mine", message: "as it says" });

const table: [what: string, thrown: unknown, failureClass: FailureClass, code: string][] = [
  ["a task error, as it says", taskError, "critical", "mine"],
  ["a task error as a cause", new Error("outer", { cause: taskError }), "critical", "mine"],
  ["429 of a provider", call(429), "rate-limit", "rate-limited"],
  ["401 of a provider", call(401), "critical", "provider-denied"],
  ["402 of a provider", call(402), "critical", "provider-denied"],
  ["403 of a provider", call(403), "critical", "provider-denied"],
  ["408 of a provider", call(408), "transient", "provider-unavailable"],
  ["409 of a provider", call(409), "transient", "provider-unavailable"],
  ["500 of a provider", call(500), "transient", "provider-unavailable"],
  ["529 of a provider", call(529), "transient", "provider-unavailable"],
  ["400 of a provider", call(400), "data", "provider-refused"],
  ["404 of a provider", call(404), "data", "provider-refused"],
  ["422 of a provider", call(422), "data", "provider-refused"],
  ["200 of a provider with a body that is not the protocol's", call(200), "transient", "provider-bad-response"],
  ["a provider that cannot be reached", call(), "transient", "network"],
  [
    "the last of several tries",
    new RetryError({ message: "gave up", reason: "maxRetriesExceeded", errors: [call(500), call(429)] }),
    "rate-limit",
    "rate-limited",
  ],
  [
    "a model that cannot do what is asked of it",
    new UnsupportedFunctionalityError({ functionality: "images" }),
    "data",
    "provider-refused",
  ],
  ["a model that gave nothing to use", new NoOutputGeneratedError(), "data", "bad-model-output"],
  ["a refused connection", coded("ECONNREFUSED"), "transient", "network"],
  ["a reset connection", coded("ECONNRESET"), "transient", "network"],
  ["a name that does not resolve", coded("EAI_AGAIN"), "transient", "network"],
  ["a fetch that failed", new TypeError("fetch failed", { cause: coded("ETIMEDOUT") }), "transient", "network"],
  ["the time-out of a call", new DOMException("too late", "TimeoutError"), "transient", "call-timeout"],
  ["Redis away", new StoreUnavailableError(), "transient", "store-unavailable"],
  ["an error with a code that is not of the network", coded("ENOENT"), "unknown", "unexpected"],
  ["any other error", new RangeError("out of range"), "unknown", "unexpected"],
  ["a string", "just text", "unknown", "unexpected"],
  ["nothing at all", undefined, "unknown", "unexpected"],
];

describe("a thrown value is classified", () => {
  test.each([...table, ...realErrors])("%s", (_what, thrown, failureClass, code) => {
    expect(classify(thrown)).toMatchObject({ class: failureClass, code });
  });

  test("and a chain of causes that bites its tail ends", () => {
    const error = new Error("round");
    error.cause = error;
    expect(classify(error)).toEqual({ class: "unknown", code: "unexpected", message: "round" });
  });

  test("and a message of any length becomes one that fits into the log", () => {
    expect(classify(new Error("x".repeat(1_000_000))).message).toHaveLength(2001);
  });
});

describe("real errors", () => {
  test("are at least 40, each of its own", () => {
    expect(new Set(realErrors.map(([what]) => what)).size).toBeGreaterThanOrEqual(40);
  });

  test.each(realErrors)("%s is in docs/errors.md under its class", async (_what, _thrown, failureClass, code) => {
    const document = await readFile(new URL("../../../docs/errors.md", import.meta.url), "utf8");
    const [, section = ""] = document.split(`### Class \`${failureClass}\``);
    expect(section.split("\n##")[0]).toContain(`\n| \`${code}\` |`);
  });

  test("a word of a library in the message of an agent means nothing", () => {
    for (const words of [
      "the fetch failed, so we stop",
      "rate limit or timeout?",
      "content_filter",
      "socket hang up!",
    ]) {
      expect(classify(new Error(words))).toMatchObject({ class: "unknown", code: "unexpected" });
    }
  });

  test("a type, a code or a status goes before the words, also of a cause further down", () => {
    const inner = Object.assign(new Error("denied"), { statusCode: 403 });
    expect(classify(new TypeError("fetch failed", { cause: inner })).class).toBe("critical");
  });
});

describe("a wait that the other side asks for", () => {
  const now = Date.parse("2030-01-01T00:00:00Z");
  test.each<[string, Record<string, string>, number | undefined]>([
    ["in seconds", { "retry-after": "7" }, 7000],
    ["in ms, which is finer", { "retry-after": "7", "Retry-After-Ms": "6500" }, 6500],
    ["until a date", { "Retry-After": "Tue, 01 Jan 2030 00:01:00 GMT" }, 60_000],
    ["until a date that is over", { "retry-after": "Mon, 31 Dec 2029 00:00:00 GMT" }, 0],
    ["of years, which is cut", { "retry-after": "99999999" }, 86_400_000],
    ["in no words that are known", { "retry-after": "soon" }, undefined],
    ["not at all", {}, undefined],
  ])("%s", (_what, headers, retryAfterMs) => {
    const failure = classify(new Error("outer", { cause: rateLimited(headers) }), now);
    expect(failure).toMatchObject({ class: "rate-limit", code: "rate-limited" });
    expect(failure.retryAfterMs).toBe(retryAfterMs);
  });
});
