import type { ServerResponse } from "node:http";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { createClient, ProblemError, UnreachableError } from "../src/index.ts";
import { type Answer, json, type Received, startFakeApi } from "./fake-api.ts";

const id = "wf_07_0123456789abcdefghijklmnop";
const event = (seq: number) => ({ seq, type: "task.progressed", at: "2026-01-01T00:00:00.000Z", data: { seq } });
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

async function setUp(answer: Answer) {
  const api = await startFakeApi(answer);
  closing.push(api.close);
  return { api, client: createClient({ url: api.url, retryMs: 300, reconnectMs: 300 }) };
}

function stream(response: ServerResponse): ServerResponse {
  return response.writeHead(200, { "content-type": "text/event-stream" });
}

function frame(seq: number): string {
  return `id: ${seq}\nevent: task.progressed\ndata: ${JSON.stringify(event(seq))}\n\n`;
}

async function seqs(events: AsyncIterable<{ seq: number }>): Promise<number[]> {
  const found: number[] = [];
  for await (const { seq } of events) found.push(seq);
  return found;
}

/** Serves events 1 to `total` from Last-Event-ID on, cutting the n-th connection after `cuts[n]` bytes of the stream. */
function cuttingServer(total: number, cuts: number[], overlap: number): Answer {
  let connection = 0;
  return (response: ServerResponse, { headers }: Received) => {
    const from = Math.max(1, Number(headers["last-event-id"]) + 1 - overlap);
    const text = `: hello\n\n${range(from, total).map(frame).join("")}event: end\ndata: {}\n\n`;
    const cut = cuts[connection++];
    if (cut === undefined || cut >= text.length) stream(response).end(text);
    else stream(response).write(text.slice(0, cut), () => response.destroy());
  };
}

test("however the connection drops, every event comes once and in order", { timeout: 30_000 }, async () => {
  const plan = fc.record({
    total: fc.integer({ min: 0, max: 12 }),
    cuts: fc.array(fc.integer({ min: 0, max: 900 }), { maxLength: 3 }),
    overlap: fc.integer({ min: 0, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(plan, async ({ total, cuts, overlap }) => {
      const { client } = await setUp(cuttingServer(total, cuts, overlap));
      expect(await seqs(client.events(id, { follow: true }))).toEqual(range(1, total));
    }),
    { numRuns: 15 },
  );
});

test("a stream that skipped an event is opened again behind the last one that came", async () => {
  const offers = ["", frame(1) + frame(3), frame(2) + frame(3) + "event: end\ndata: {}\n\n"];
  const { api, client } = await setUp((response) => stream(response).end(offers.shift()));
  expect(await seqs(client.events(id, { follow: true }))).toEqual([1, 2, 3]);
  expect(api.received.map((call) => call.headers["last-event-id"])).toEqual(["0", "0", "1"]);
});

test("following starts behind `after` and stops at the end although the connection stays open", async () => {
  const { api, client } = await setUp((response) => stream(response).write(`${frame(6)}event: end\ndata: {}\n\n`));
  expect(await seqs(client.events(id, { after: 5, follow: true }))).toEqual([6]);
  expect(api.received[0]?.headers).toMatchObject({ "last-event-id": "5", accept: "text/event-stream" });
});

test("an event that is split inside a character of several bytes arrives whole", async () => {
  const text = `data: ${JSON.stringify({ ...event(1), data: "Flottenübung ⛵" })}\n\nevent: end\ndata: {}\n\n`;
  const bytes = Buffer.from(text);
  const at = bytes.indexOf(Buffer.from("⛵")) + 1;
  const { client } = await setUp((response) => {
    stream(response).write(bytes.subarray(0, at), () => setImmediate(() => response.end(bytes.subarray(at))));
  });
  const first = await client.events(id, { follow: true }).next();
  expect(first.value).toMatchObject({ data: "Flottenübung ⛵" });
});

test("a workflow that does not exist ends the following with the service's refusal", async () => {
  const { client } = await setUp((response) => json(response, 404, { code: "not-found" }));
  await expect(seqs(client.events(id, { follow: true }))).rejects.toBeInstanceOf(ProblemError);
});

test("a service that stays away ends the following", async () => {
  const { api, client } = await setUp((response) => {
    stream(response).write(frame(1), () => void api.close());
  });
  await expect(seqs(client.events(id, { follow: true }))).rejects.toBeInstanceOf(UnreachableError);
});

test("leaving in the middle closes the connection", async () => {
  const left = Promise.withResolvers<void>();
  const { client } = await setUp((response) => {
    response.on("close", () => left.resolve());
    stream(response).write(frame(1));
  });
  for await (const { seq } of client.events(id, { follow: true })) {
    expect(seq).toBe(1);
    break;
  }
  await left.promise;
});

test("an abort ends the following with its reason", async () => {
  const stop = new AbortController();
  const { client } = await setUp((response) => stream(response).write(frame(1)));
  const following = (async () => {
    for await (const _ of client.events(id, { follow: true, signal: stop.signal })) stop.abort(new Error("enough"));
  })();
  await expect(following).rejects.toThrow("enough");
});

test("without follow, pages are read until there is no next", async () => {
  const { api, client } = await setUp((response, { url }) => {
    const after = Number(new URL(url, "http://x").searchParams.get("after"));
    json(response, 200, after === 0 ? { events: [event(1), event(2)], next: 2 } : { events: [event(3)] });
  });
  expect(await seqs(client.events(id))).toEqual([1, 2, 3]);
  expect(api.received).toHaveLength(2);
});
