import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  maxMessageBytes,
  type ReceivedMessage,
  type StreamReader,
  type StreamReaderOptions,
  type StreamWriter,
} from "@flotilla/workflow";
import { z } from "zod";
import { withFileLock } from "./file-lock.ts";

/** Above the largest message as it is written. */
const readBytes = 4 * 1024 * 1024;
const lineFeed = 0x0a;
const defaultTimeoutMs = 30_000;

const Line = z.object({ key: z.string(), value: z.base64() });
const GroupFile = z.object({ holder: z.string(), heldUntil: z.int(), next: z.int() });
type GroupFile = z.infer<typeof GroupFile>;

/** The end of a stream that is the file `<directory>/streams/<name>/log`. Several processes may write to it. */
export function createFileStreamWriter(directory: string, name: string): StreamWriter {
  const folder = join(directory, "streams", name);
  return {
    async append(messages, signal) {
      signal?.throwIfAborted();
      for (const { key, value } of messages) {
        if (Buffer.byteLength(key) + value.byteLength > maxMessageBytes)
          throw new RangeError("the message is too large");
      }
      if (messages.length === 0) return;
      await mkdir(folder, { recursive: true });
      await using handle = await open(join(folder, "log"), "a");
      const lines = messages.map(({ key, value }) =>
        JSON.stringify({ key, value: Buffer.from(value).toString("base64") }),
      );
      // The first line feed ends what a process that was killed has left: its message was never acknowledged.
      const bytes = Buffer.from(`\n${lines.join("\n")}\n`);
      // In one call: those of several processes do not come between each other.
      const { bytesWritten } = await handle.write(bytes);
      if (bytesWritten < bytes.byteLength) throw new Error("the disk took only some of the messages");
      await handle.datasync();
    },
  };
}

/**
 * A member of a group that reads such a stream. It has one partition, so one member reads at a time. The offset of a
 * message is where its line begins.
 */
export class FileStreamReader implements StreamReader {
  readonly #log: string;
  readonly #groups: string;
  readonly #file: string;
  readonly #options: Required<StreamReaderOptions>;
  /** First byte that was not received, while this member has the partition. */
  #next: number | undefined;

  constructor(directory: string, name: string, options: StreamReaderOptions) {
    const folder = join(directory, "streams", name);
    this.#log = join(folder, "log");
    this.#groups = join(folder, "groups");
    this.#file = join(this.#groups, `${options.group}.json`);
    this.#options = { timeoutMs: defaultTimeoutMs, ...options };
  }

  async receive(signal?: AbortSignal): Promise<ReceivedMessage[]> {
    signal?.throwIfAborted();
    await mkdir(this.#groups, { recursive: true });
    const isHeld = await this.#locked(async (group) => {
      const { instance, from, timeoutMs } = this.#options;
      const current = group ?? {
        holder: instance,
        heldUntil: 0,
        next: from === "oldest" ? 0 : await sizeOf(this.#log),
      };
      const isOther = current.holder !== instance;
      if (isOther && current.heldUntil > Date.now()) return false;
      if (isOther || this.#next === undefined) this.#next = current.next;
      await this.#save({ holder: instance, heldUntil: Date.now() + timeoutMs, next: current.next });
      return true;
    }, signal);
    if (!isHeld) this.#next = undefined;
    if (this.#next === undefined) return [];
    const { messages, end } = await readLines(this.#log, this.#next);
    this.#next = end;
    return messages;
  }

  async commit(signal?: AbortSignal): Promise<void> {
    const next = this.#next;
    if (next === undefined) return;
    await this.#locked(async (group) => {
      // Another member has it by now, and receives again what is not committed.
      if (group?.holder !== this.#options.instance) return;
      await this.#save({ ...group, heldUntil: Date.now() + this.#options.timeoutMs, next });
    }, signal);
  }

  async close(): Promise<void> {
    this.#next = undefined;
  }

  #locked<T>(work: (group: GroupFile | undefined) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const read = async () => {
      const text = await readFile(this.#file, "utf8").catch(() => undefined);
      return work(text === undefined ? undefined : GroupFile.parse(JSON.parse(text)));
    };
    return withFileLock(`${this.#file}.lock`, read, signal);
  }

  async #save(group: GroupFile): Promise<void> {
    const unfinished = `${this.#file}.${randomUUID()}`;
    await writeFile(unfinished, JSON.stringify(group));
    await rename(unfinished, this.#file);
  }
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/** The messages of the lines that are whole, from that byte on, and the byte behind them. */
async function readLines(file: string, start: number): Promise<{ messages: ReceivedMessage[]; end: number }> {
  if ((await sizeOf(file)) <= start) return { messages: [], end: start };
  await using handle = await open(file, "r");
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(readBytes), 0, readBytes, start);
  const messages: ReceivedMessage[] = [];
  let from = 0;
  for (let to = buffer.indexOf(lineFeed); to !== -1 && to < bytesRead; to = buffer.indexOf(lineFeed, from)) {
    const message = messageIn(buffer.toString("utf8", from, to));
    if (message) messages.push({ partition: 0, offset: start + from, ...message });
    from = to + 1;
  }
  return { messages, end: start + from };
}

/** What a process that was killed has left of a line is no message. */
function messageIn(line: string): { key: string; value: Uint8Array } | undefined {
  try {
    const { key, value } = Line.parse(JSON.parse(line));
    return { key, value: Buffer.from(value, "base64") };
  } catch {
    return undefined;
  }
}
