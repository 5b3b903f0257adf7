import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { z } from "zod";

/** What the model says next. */
export type ScriptedReply =
  | { kind: "text"; text: string }
  /** Tool calls; arguments that are a string go out as they are, malformed or not. */
  | { kind: "calls"; calls: { id: string; name: string; arguments: string | object }[] }
  | { kind: "error"; status: number; message: string; retryAfter?: string }
  /** Takes the request and never answers. */
  | { kind: "silence" };

const ChatRequest = z.looseObject({
  model: z.string(),
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })),
  tools: z.array(z.looseObject({ function: z.looseObject({ name: z.string() }) })).exactOptional(),
  response_format: z.unknown().exactOptional(),
});

/** A request as it came in: the parsed body, and the key that it was made with. */
export type ScriptedRequest = z.infer<typeof ChatRequest> & { authorization: string | undefined };

/** A chat model on a real socket that says what its script says, in order. */
export interface ScriptedModel {
  /** Up to and including `/v1`. */
  baseUrl: string;
  /** Every request so far, refused ones included. */
  requests: ScriptedRequest[];
  /** Adds to the end of the script. */
  say(...replies: ScriptedReply[]): void;
  /** Forgets what has not been said and begins a new script. */
  script(...replies: ScriptedReply[]): void;
  /** Resolves when `count` requests have come in all. */
  received(count: number): Promise<void>;
  /** Resolves when a client has hung up before it got its answer. */
  abandoned(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts an HTTP server that speaks the wire of OpenAI's chat completions, without streaming. At the end of its script
 * it answers 400, which no client tries again.
 */
export async function startScriptedModel(...replies: ScriptedReply[]): Promise<ScriptedModel> {
  let script = [...replies];
  const requests: ScriptedRequest[] = [];
  const happened = new EventEmitter();
  let hangUps = 0;

  const server = createServer((request, response) => {
    response.on("close", () => {
      if (response.writableEnded) return;
      hangUps += 1;
      happened.emit("hang-up");
    });
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "POST" || request.url !== "/v1/chat/completions") {
      return sendError(response, 404, `nothing is at ${request.url}`);
    }
    const body = ChatRequest.parse(await json(request));
    requests.push({ ...body, authorization: request.headers.authorization });
    const reply = script.shift();
    happened.emit("request");
    if (!reply) return sendError(response, 400, "the script is at its end");
    send(response, body.model, requests.length, reply);
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address and a port.
  const { port } = server.address() as AddressInfo;

  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    requests,
    say: (...more) => void script.push(...more),
    script: (...anew) => void (script = [...anew]),
    async received(count) {
      while (requests.length < count) await once(happened, "request");
    },
    async abandoned() {
      if (hangUps === 0) await once(happened, "hang-up");
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      if (server.listening) await once(server, "close");
    },
  };
}

function send(response: ServerResponse, model: string, number: number, reply: ScriptedReply): void {
  switch (reply.kind) {
    case "text":
      return sendChoice(response, model, number, "stop", { role: "assistant", content: reply.text });
    case "calls": {
      const calls = reply.calls.map((call) => ({
        id: call.id,
        type: "function",
        function: {
          name: call.name,
          arguments: typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments),
        },
      }));
      return sendChoice(response, model, number, "tool_calls", { role: "assistant", content: null, tool_calls: calls });
    }
    case "error":
      return sendError(response, reply.status, reply.message, reply.retryAfter);
    case "silence":
  }
}

function sendChoice(response: ServerResponse, model: string, number: number, reason: string, message: object): void {
  const body = {
    id: `chatcmpl-${number}`,
    object: "chat.completion",
    created: 1_700_000_000 + number,
    model,
    choices: [{ index: 0, message, finish_reason: reason }],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  };
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function sendError(response: ServerResponse, status: number, message: string, retryAfter?: string): void {
  const headers = {
    "content-type": "application/json",
    ...(retryAfter !== undefined && { "retry-after": retryAfter }),
  };
  response.writeHead(status, headers).end(JSON.stringify({ error: { message, type: "scripted", code: status } }));
}
