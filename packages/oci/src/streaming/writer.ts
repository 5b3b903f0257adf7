import { setTimeout as delay } from "node:timers/promises";
import { maxMessageBytes, type StreamMessage, type StreamWriter } from "@flotilla/workflow";
import type { OciClients } from "../clients.ts";
import { OciFailure, toldToCallers } from "../failure.ts";

/** Of the keys and values of one request; OCI takes a little more. */
const maxBatchBytes = maxMessageBytes;
const maxBatchLength = 1000;

/** How often what a partition refused is sent again. */
const maxRounds = 8;
const firstPauseMs = 100;
const longestPauseMs = 3000;

/** The end of a stream of OCI. */
export function createOciStreamWriter(clients: OciClients, streamId: string): StreamWriter {
  return {
    async append(messages, signal) {
      signal?.throwIfAborted();
      for (const message of messages) {
        if (bytesOf(message) > maxMessageBytes) throw new RangeError("the message is too large");
      }
      for (const batch of batches(messages)) await appendBatch(clients, streamId, batch, signal);
    },
  };
}

/** In the order given, so those of one key stay in order. */
function* batches(messages: readonly StreamMessage[]): Generator<StreamMessage[]> {
  let batch: StreamMessage[] = [];
  let bytes = 0;
  for (const message of messages) {
    const isFull = bytes + bytesOf(message) > maxBatchBytes || batch.length === maxBatchLength;
    if (isFull && batch.length > 0) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(message);
    bytes += bytesOf(message);
  }
  if (batch.length > 0) yield batch;
}

async function appendBatch(
  clients: OciClients,
  streamId: string,
  batch: readonly StreamMessage[],
  signal?: AbortSignal,
): Promise<void> {
  let left = batch;
  for (let round = 1; ; round++) {
    const sent = left.map(({ key, value }) => ({ key: base64(Buffer.from(key)), value: base64(value) }));
    const { putMessagesResult } = await clients.stream(
      streamId,
      {
        operation: "PutMessages",
        send: (client) => client.putMessages({ streamId, putMessagesDetails: { messages: sent } }),
      },
      signal,
    );
    const { entries } = putMessagesResult;
    left = unsettled(left, (index) => entries[index] === undefined || Boolean(entries[index].error));
    if (left.length === 0) return;
    if (round === maxRounds) {
      const message = `${left.length} of ${batch.length} messages were refused ${maxRounds} times`;
      throw toldToCallers(new OciFailure("throttled", "PutMessages", { message }));
    }
    await delay(
      Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** round),
      undefined,
      signal ? { signal } : {},
    );
  }
}

/**
 * What is to be sent again: what was refused, and what came after it under the same key, though that was taken. Else a
 * reader would see the later message first, and nothing would tell it that one is missing.
 */
function unsettled(messages: readonly StreamMessage[], isRefused: (index: number) => boolean): StreamMessage[] {
  const keys = new Set<string>();
  return messages.filter(({ key }, index) => {
    if (isRefused(index)) keys.add(key);
    return keys.has(key);
  });
}

function bytesOf({ key, value }: StreamMessage): number {
  return Buffer.byteLength(key) + value.byteLength;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
