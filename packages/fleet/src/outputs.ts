import type { BlobStore, EventOf, Json } from "@flotilla/workflow";

/** Outputs up to this many bytes are in the log, and nowhere else. */
export const loggedOutputBytes = 1024;

/** Outputs above this many bytes are blobs, and Redis holds their hash. */
const inlineBytes = 32_768;

/** Where an output is kept beside the log: nowhere (''), `=` and its JSON, or `@` and the hash of its blob. */
export async function keepOutput(
  blobs: BlobStore,
  json: string,
  bytes: number,
  mostInLog = loggedOutputBytes,
): Promise<string> {
  if (bytes <= mostInLog) return "";
  if (bytes <= inlineBytes) return `=${json}`;
  const { sha256 } = await blobs.put(Buffer.from(json));
  return `@${sha256}`;
}

/** An output as lua/outputs.lua answers it. Rejects when its blob is gone. */
export async function readOutput(blobs: BlobStore, kept: string): Promise<Json> {
  if (kept.startsWith("#")) return (JSON.parse(kept.slice(1)) as EventOf<"task.completed">).data.output ?? null;
  if (kept.startsWith("=")) return JSON.parse(kept.slice(1)) as Json;
  const content = await blobs.get(kept.slice(1));
  if (!content) throw new Error("the blob of an output is gone");
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString("utf8")) as Json;
}
