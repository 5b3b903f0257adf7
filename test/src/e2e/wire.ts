import { EventView } from "@flotilla/workflow";

/** What the API answered. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Undefined where the body is no JSON. */
  json: unknown;
}

/** What a call may say beside its target. */
export interface Call {
  /** Null for none. */
  key?: string | null;
  headers?: Record<string, string>;
  /** Sent as it is if it is text or bytes, else as JSON. */
  body?: unknown;
}

/** Calls the API without a client of ours in between. */
export class Wire {
  readonly #url: string;
  readonly #key: string;

  constructor({ url, apiKey }: { url: string; apiKey: string }) {
    this.#url = url;
    this.#key = apiKey;
  }

  /** `target` is a method and a path. */
  async call(target: string, { key = this.#key, headers = {}, body }: Call = {}): Promise<Answer> {
    const [method = "GET", path = "/"] = target.split(" ", 2);
    const response = await fetch(this.#url + path, {
      method,
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: payloadOf(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: jsonOf(text) };
  }

  /** One connection to the stream of a workflow, up to its `event: end` or until the reader has enough. */
  async *stream(id: string, lastEventId?: number, key = this.#key): AsyncGenerator<EventView | "end"> {
    const leave = new AbortController();
    const response = await fetch(`${this.#url}/v1/workflows/${id}/events`, {
      headers: {
        authorization: `Bearer ${key}`,
        accept: "text/event-stream",
        ...(lastEventId !== undefined && { "last-event-id": String(lastEventId) }),
      },
      signal: leave.signal,
    });
    if (response.status !== 200 || !response.body) throw new Error(`the stream answered ${response.status}`);
    try {
      let text = "";
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const frames = text.split("\n\n");
        text = frames.pop() ?? "";
        for (const frame of frames) {
          const message = messageOf(frame);
          if (message) yield message;
          if (message === "end") return;
        }
      }
    } finally {
      leave.abort();
    }
  }
}

/** The message in a frame; undefined for a comment. Throws where `id` or `event` say something else than the data. */
function messageOf(frame: string): EventView | "end" | undefined {
  const fields = new Map(
    frame.split("\n").map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
    }),
  );
  if (fields.get("event") === "end") return "end";
  const data = fields.get("data");
  if (data === undefined) return undefined;
  const event = EventView.parse(JSON.parse(data));
  if (fields.get("id") !== String(event.seq) || fields.get("event") !== event.type) {
    throw new Error(`a frame that is not its event: ${frame}`);
  }
  return event;
}

function payloadOf(body: unknown): string | Uint8Array<ArrayBuffer> {
  if (typeof body === "string") return body;
  return body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
