import type { AuditLog, StreamMessage, StreamWriter } from "@flotilla/workflow";
import { auditWriter } from "./audit-writer.ts";

/** Where events that are archived go: to a stream, to an audit log, to both; undefined where to neither. */
export function exportTo({
  stream,
  auditLog,
}: {
  stream?: StreamWriter;
  auditLog?: AuditLog | undefined;
}): StreamWriter | undefined {
  const writers = [...(stream ? [stream] : []), ...(auditLog ? [auditWriter(auditLog)] : [])];
  return writers.length > 1 ? new EveryWriter(writers) : writers[0];
}

/**
 * Appends to all of several. While one of them is away all is appended again and again: what the others have taken of it
 * they are not given a second time, or they would fill up with it.
 */
class EveryWriter implements StreamWriter {
  readonly #writers: readonly StreamWriter[];
  /** By writer, what it took of the messages that were last appended in vain. */
  readonly #taken = new Map<StreamWriter, Set<string>>();

  constructor(writers: readonly StreamWriter[]) {
    this.#writers = writers;
  }

  async append(messages: readonly StreamMessage[], signal?: AbortSignal): Promise<void> {
    const results = await Promise.allSettled(
      this.#writers.map(async (writer) => {
        const taken = this.#taken.get(writer);
        const left = taken ? messages.filter((message) => !taken.has(textOf(message))) : messages;
        if (left.length > 0) await writer.append(left, signal);
      }),
    );
    const failed = results.find((result) => result.status === "rejected");
    this.#taken.clear();
    if (!failed) return;
    const texts = new Set(messages.map(textOf));
    for (const [place, writer] of this.#writers.entries()) {
      if (results[place]?.status === "fulfilled") this.#taken.set(writer, texts);
    }
    throw failed.reason;
  }
}

function textOf({ key, value }: StreamMessage): string {
  return `${key} ${Buffer.from(value).toString("base64")}`;
}
