import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { z } from "zod";

/** What is known of an object beside its bytes. */
export const ObjectFacts = z.object({
  name: z.string(),
  etag: z.string(),
  bytes: z.int(),
  /** Base64. Of an object made of parts: that of the hashes of its parts, and their number. */
  md5: z.string(),
  multipart: z.boolean(),
  contentType: z.string(),
  meta: z.record(z.string(), z.string()),
  createdAt: z.iso.datetime(),
  modifiedAt: z.iso.datetime(),
});
export type ObjectFacts = z.infer<typeof ObjectFacts>;

/** What whoever stores an object says of it. */
export type ObjectDescription = Pick<ObjectFacts, "name" | "contentType" | "meta">;

/** The length of the facts, at the very end of the file. */
const footerBytes = 4;

/**
 * Writes an object as one file: its bytes, then its facts, then their length. So one rename publishes all of it, and
 * a file that was cut off has no facts and is none. A chunk in memory at a time.
 */
export async function writeObject(
  file: string,
  content: AsyncIterable<Uint8Array>,
  description: ObjectDescription,
  multipartMd5?: string,
): Promise<ObjectFacts> {
  const md5 = createHash("md5");
  let bytes = 0;
  await using handle = await open(file, "wx");
  for await (const chunk of content) {
    md5.update(chunk);
    bytes += chunk.byteLength;
    await handle.writeFile(chunk);
  }
  const now = new Date().toISOString();
  const facts: ObjectFacts = {
    ...description,
    etag: randomUUID(),
    bytes,
    md5: multipartMd5 ?? md5.digest("base64"),
    multipart: multipartMd5 !== undefined,
    createdAt: now,
    modifiedAt: now,
  };
  const text = Buffer.from(JSON.stringify(facts));
  const footer = Buffer.alloc(footerBytes);
  footer.writeUInt32BE(text.byteLength);
  await handle.writeFile(Buffer.concat([text, footer]));
  return facts;
}

/** The facts at the end of the file, or undefined when it is no whole object. */
export async function readFacts(file: string): Promise<ObjectFacts | undefined> {
  await using handle = await open(file, "r");
  const { size } = await handle.stat();
  if (size < footerBytes) return undefined;
  const length = (await readAt(handle, size - footerBytes, footerBytes)).readUInt32BE();
  if (length + footerBytes > size) return undefined;
  const text = await readAt(handle, size - footerBytes - length, length);
  try {
    const facts = ObjectFacts.parse(JSON.parse(text.toString()));
    return facts.bytes === size - footerBytes - length ? facts : undefined;
  } catch {
    return undefined;
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer } = await handle.read(Buffer.alloc(length), 0, length, position);
  return buffer;
}

/**
 * The bytes from `start` up to and including `end`. The file is open when this resolves, so a reader has the object
 * that it was promised, whatever replaces it meanwhile.
 */
export async function readObject(file: string, start: number, end: number): Promise<AsyncIterable<Uint8Array>> {
  const handle = await open(file, "r");
  // A stream with an end before its start is refused, and an empty object has no last byte.
  if (end >= start) return handle.createReadStream({ start, end });
  await handle.close();
  return none();
}

async function* none(): AsyncGenerator<Uint8Array> {}
