import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { FastifyAdapter } from "@bull-board/fastify";
import type { FastifyInstance } from "fastify";
import { authenticateOperator } from "./authentication.ts";
import type { KeyCache } from "./key-cache.ts";
import { Problem } from "./problem.ts";

/** A BullMQ queue, as the board takes it. */
export type BoardQueue = ConstructorParameters<typeof BullMQAdapter>[0];

/** Where the board lives; everything below it needs an operator. */
const boardPath = "/queues";

/** The board's page loads its own files only; it sets styles from scripts, hence `unsafe-inline` for those. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** What the board shows, and to whom. */
export interface QueueBoard {
  keys: KeyCache;
  /** Asked on each request: queues appear as agent types register. */
  queues: () => Promise<readonly BoardQueue[]>;
}

/** Bull Board for operators. It only looks: a queue changed by hand would contradict the log. */
export async function queueBoard(app: FastifyInstance, { keys, queues }: QueueBoard): Promise<void> {
  const adapter = new FastifyAdapter();
  const board = createBullBoard({
    queues: [],
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: "Flotilla" } },
  });
  const shown = new Map<string, BullMQAdapter>();
  adapter.setBasePath(boardPath);
  // Handed on to the API's own handler: the board would quote what Redis said.
  adapter.setErrorHandler((error) => {
    throw error;
  });

  app.addHook("onRequest", authenticateOperator(keys));
  app.addHook("onRequest", async (request, reply) => {
    // The board's own read-only mode is per queue, and some of its calls are not about a queue.
    if (request.method !== "GET" && request.method !== "HEAD") {
      throw new Problem("method-not-allowed", "the board is read-only", { headers: { allow: "GET, HEAD" } });
    }
    reply.header("content-security-policy", contentSecurityPolicy);
    const open = await queues();
    board.replaceQueues(open.map((queue) => adapterOf(shown, queue)));
  });
  await app.register(adapter.registerPlugin(), { prefix: boardPath });
}

function adapterOf(shown: Map<string, BullMQAdapter>, queue: BoardQueue): BullMQAdapter {
  const adapter = shown.get(queue.name) ?? new BullMQAdapter(queue, { readOnlyMode: true });
  shown.set(queue.name, adapter);
  return adapter;
}
