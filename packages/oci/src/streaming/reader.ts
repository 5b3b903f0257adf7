import { setTimeout as delay } from "node:timers/promises";
import type { ReceivedMessage, StreamReader, StreamReaderOptions } from "@flotilla/workflow";
import type { StreamClient, models } from "oci-streaming";
import type { ClientCall, OciClients } from "../clients.ts";
import { OciFailure } from "../failure.ts";

const defaultTimeoutMs = 30_000;

/** OCI allows a group five reads of a partition in a second. */
const minReadGapMs = 200;

/** A member of a consumer group of OCI Streaming. While it works on messages it says that it lives. */
export class OciStreamReader implements StreamReader {
  readonly #clients: OciClients;
  readonly #streamId: string;
  readonly #options: Required<StreamReaderOptions>;
  /** Where this member is; undefined while it is not in the group. */
  #cursor: string | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  #heartbeat: NodeJS.Timeout | undefined;
  /** Calls one after the other: each answers the cursor of the next one. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(clients: OciClients, streamId: string, options: StreamReaderOptions) {
    this.#clients = clients;
    this.#streamId = streamId;
    this.#options = { timeoutMs: defaultTimeoutMs, ...options };
  }

  async receive(signal?: AbortSignal): Promise<ReceivedMessage[]> {
    return this.#inTurn(async () => {
      signal?.throwIfAborted();
      const waitMs = this.#readAt + minReadGapMs - performance.now();
      if (waitMs > 0) await delay(waitMs, undefined, signal ? { signal } : {});
      this.#readAt = performance.now();
      return (await this.#read(signal)).map(received);
    });
  }

  async commit(signal?: AbortSignal): Promise<void> {
    await this.#inTurn(() => this.#advance("ConsumerCommit", (client, place) => client.consumerCommit(place), signal));
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.#last;
    this.#cursor = undefined;
  }

  async #read(signal?: AbortSignal): Promise<models.Message[]> {
    this.#heartbeat ??= this.#startHeartbeat();
    const cursor = (this.#cursor ??= await this.#join(signal));
    try {
      const { items, opcNextCursor } = await this.#call(
        {
          operation: "GetMessages",
          send: (client) => client.getMessages({ streamId: this.#streamId, cursor: encodeURIComponent(cursor) }),
        },
        signal,
      );
      this.#cursor = opcNextCursor;
      return items;
    } catch (error) {
      if (!isLost(error)) throw error;
      // Joins again at the next call, and goes on from what is committed.
      this.#cursor = undefined;
      return [];
    }
  }

  async #join(signal?: AbortSignal): Promise<string> {
    const { group, instance, from, timeoutMs } = this.#options;
    const { CreateGroupCursorDetails } = (await import("oci-streaming")).models;
    const type = from === "oldest" ? CreateGroupCursorDetails.Type.TrimHorizon : CreateGroupCursorDetails.Type.Latest;
    const createGroupCursorDetails = {
      type,
      groupName: group,
      instanceName: instance,
      timeoutInMs: timeoutMs,
      commitOnGet: false,
    };
    const { cursor } = await this.#call(
      {
        operation: "CreateGroupCursor",
        send: (client) => client.createGroupCursor({ streamId: this.#streamId, createGroupCursorDetails }),
      },
      signal,
    );
    return cursor.value;
  }

  /** Makes a call that answers the cursor by which to go on. */
  async #advance(
    operation: string,
    send: (client: StreamClient, place: { streamId: string; cursor: string }) => Promise<{ cursor: models.Cursor }>,
    signal?: AbortSignal,
  ): Promise<void> {
    const cursor = this.#cursor;
    if (cursor === undefined) return;
    try {
      const place = { streamId: this.#streamId, cursor: encodeURIComponent(cursor) };
      const answer = await this.#call({ operation, send: (client) => send(client, place) }, signal);
      this.#cursor = answer.cursor.value;
    } catch (error) {
      if (!isLost(error)) throw error;
      this.#cursor = undefined;
    }
  }

  #startHeartbeat(): NodeJS.Timeout {
    const beat = () =>
      this.#inTurn(() => this.#advance("ConsumerHeartbeat", (client, place) => client.consumerHeartbeat(place)));
    // Without a heartbeat others get what this member has: they would have it twice, and that is allowed.
    const timer = setInterval(() => void beat().catch(() => {}), this.#options.timeoutMs / 3);
    return timer.unref();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  #call<T>(call: ClientCall<StreamClient, T>, signal?: AbortSignal): Promise<T> {
    return this.#clients.stream(this.#streamId, call, signal);
  }
}

/** A cursor that is not taken any more: it expired, or the group has gone on without this member. */
function isLost(error: unknown): boolean {
  return error instanceof OciFailure && error.status === 400;
}

function received({ partition, offset, key, value }: models.Message): ReceivedMessage {
  // A message without a key has null there, whatever the type says.
  const named: string | null | undefined = key;
  return {
    partition: Number(partition),
    offset,
    key: typeof named === "string" ? Buffer.from(named, "base64").toString() : undefined,
    value: Buffer.from(value, "base64"),
  };
}
