import { type FileHandle, open } from "node:fs/promises";
import { z } from "zod";

const StoredMessage = z.object({ key: z.string().nullable(), value: z.string(), at: z.int() });
/** A message as it is kept; key and value in base64, the time in ms. */
export type StoredMessage = z.infer<typeof StoredMessage>;

const lineFeed = 0x0a;

/** One partition: a file with a JSON line for each message, whose number is its offset. */
export class PartitionLog {
  readonly #handle: FileHandle;
  /** Where each message begins, and where the next one will. */
  readonly #starts: number[];
  readonly #times: number[];
  /** Appends, one after the other: two at once could come apart in the file. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(handle: FileHandle, starts: number[], times: number[]) {
    this.#handle = handle;
    this.#starts = starts;
    this.#times = times;
  }

  /** The log in that file, which is made if there is none. A last line that was never finished is cut off. */
  static async open(file: string): Promise<PartitionLog> {
    const handle = await open(file, "a+");
    const starts = [0];
    const times: number[] = [];
    for await (const line of linesOf(handle)) {
      const message = messageIn(line);
      if (!message) break;
      starts.push((starts.at(-1) ?? 0) + line.byteLength);
      times.push(message.at);
    }
    await handle.truncate(starts.at(-1));
    return new PartitionLog(handle, starts, times);
  }

  /** The offset that the next message will have. */
  get end(): number {
    return this.#times.length;
  }

  /** Writes the messages in their order, and gives the offset of the first. */
  append(messages: readonly StoredMessage[]): Promise<number> {
    const appended = this.#last.then(() => this.#append(messages));
    this.#last = appended.catch(() => {});
    return appended;
  }

  async #append(messages: readonly StoredMessage[]): Promise<number> {
    const first = this.end;
    const lines = messages.map((message) => Buffer.from(`${JSON.stringify(message)}\n`));
    await this.#handle.appendFile(Buffer.concat(lines));
    for (const [index, line] of lines.entries()) {
      this.#starts.push((this.#starts.at(-1) ?? 0) + line.byteLength);
      this.#times.push(messages[index]?.at ?? 0);
    }
    return first;
  }

  /** Messages from the offset on: at most `limit`, and at most about `maxBytes`, but one if there is one. */
  async read(offset: number, limit: number, maxBytes: number): Promise<StoredMessage[]> {
    const from = this.#starts[offset];
    if (from === undefined) return [];
    let count = Math.min(limit, this.end - offset);
    while (count > 1 && (this.#starts[offset + count] ?? 0) - from > maxBytes) count -= 1;
    const length = (this.#starts[offset + count] ?? from) - from;
    const { buffer } = await this.#handle.read(Buffer.alloc(length), 0, length, from);
    const lines = buffer.toString().split("\n").slice(0, count);
    return lines.map((line) => StoredMessage.parse(JSON.parse(line)));
  }

  /** The first offset whose message came at that time or later. */
  offsetAt(time: number): number {
    const found = this.#times.findIndex((at) => at >= time);
    return found === -1 ? this.end : found;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#handle.close();
  }
}

/** The lines of the file with their line feeds, and what is left after the last one. */
async function* linesOf(handle: FileHandle): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const chunk of handle.createReadStream({ start: 0, autoClose: false })) {
    // Without an encoding a file gives buffers.
    rest = Buffer.concat([rest, chunk as Buffer]);
    for (let end = rest.indexOf(lineFeed); end !== -1; end = rest.indexOf(lineFeed)) {
      yield rest.subarray(0, end + 1);
      rest = rest.subarray(end + 1);
    }
  }
  if (rest.byteLength > 0) yield rest;
}

function messageIn(line: Buffer): StoredMessage | undefined {
  if (line.at(-1) !== lineFeed) return undefined;
  try {
    return StoredMessage.parse(JSON.parse(line.toString()));
  } catch {
    return undefined;
  }
}
