/** What must be so for an object to be put: that none is there, or the one with that tag. */
export type PutCondition = { kind: "absent" } | { kind: "match"; tag: string };

/** What came of a put. `conflict`: the condition did not hold, and nothing was changed. */
export type PutOutcome = { kind: "stored"; tag: string } | { kind: "conflict" };

/** An object of an archive, without its bytes. */
export interface ArchivedObject {
  name: string;
  bytes: number;
  /** Another one after every put. */
  tag: string;
}

/** An object as it is listed. */
export interface ListedObject extends ArchivedObject {
  /** When it was put, in ms since the epoch. */
  at: number;
}

/**
 * Objects by name: checkpoints, finished logs, journals. Names are segments of `A-Z a-z 0-9 _ . = -` joined by `/`,
 * 1,000 characters at most; `open/…` belongs to workflows that have not ended and is kept for ever, `ended/…` is removed
 * by the rule of the archive, 7 days after it was put. An object is there whole or not at all.
 */
export interface Archive {
  /** Stores an object in place of the one of that name. In bounded memory for streams. */
  put(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    condition?: PutCondition,
    signal?: AbortSignal,
  ): Promise<PutOutcome>;
  /** The object and its bytes in order, or undefined when there is none. What is not read to its end is given up by `return`. */
  get(
    name: string,
    signal?: AbortSignal,
  ): Promise<(ArchivedObject & { content: AsyncIterable<Uint8Array> }) | undefined>;
  /** The objects whose names begin with the prefix, in the order of their names, those after `after` only. */
  list(prefix: string, options?: { after?: string }, signal?: AbortSignal): AsyncIterable<ListedObject>;
  /** Removes an object; whether there was one. */
  delete(name: string, signal?: AbortSignal): Promise<boolean>;
}

const segmentPattern = /^[A-Za-z0-9_.=-]+$/;

/** Throws a `TypeError` for a name that an archive does not take: some keep objects as files. */
export function expectArchiveName(name: string): void {
  const isFine = (segment: string) => segmentPattern.test(segment) && segment !== "." && segment !== "..";
  if (name.length > 1000 || !name.split("/").every(isFine)) {
    throw new TypeError("a name in an archive is segments of A-Z a-z 0-9 _ . = - joined by slashes");
  }
}

/** Most bytes that key and value of a message have together; streams take a little more. */
export const maxMessageBytes = 1_000_000;

/** A message for a stream. Those of one key are read in the order in which they were appended. */
export interface StreamMessage {
  key: string;
  value: Uint8Array;
}

/** The end of a stream. */
export interface StreamWriter {
  /**
   * Appends messages, any number. Each is in the stream at least once when this resolves; when it rejects, some may be,
   * and all are to be appended again. A message that appears again is followed again by the later ones of its key.
   * Throws a `RangeError` for a message above `maxMessageBytes`.
   */
  append(messages: readonly StreamMessage[], signal?: AbortSignal): Promise<void>;
}

/** A message of a stream, with the place that names it for ever. */
export interface ReceivedMessage {
  partition: number;
  offset: number;
  key: string | undefined;
  value: Uint8Array;
}

/** One member of a consumer group: a message goes to one member, and to another one unless it is committed. */
export interface StreamReader {
  /** The next messages, of one partition; none when there are none now, or other members have all partitions. */
  receive(signal?: AbortSignal): Promise<ReceivedMessage[]>;
  /** Says that all that was received is done. What a member could not commit comes again, to it or to another. */
  commit(signal?: AbortSignal): Promise<void>;
  /** Leaves it to other members to go on, which they do when this one's time is over. */
  close(): Promise<void>;
}

/** How a member reads. */
export interface StreamReaderOptions {
  group: string;
  /** Names the member; no two at a time. */
  instance: string;
  /** Where a new group begins. */
  from: "oldest" | "newest";
  /** After how long a silent member loses what it has; 30 s by default. */
  timeoutMs?: number;
}
