import { createHash, type Hash, randomUUID } from "node:crypto";
import type { BlobStore } from "@flotilla/workflow";
import type { OciBucket } from "./bucket.ts";
import { upload } from "./upload.ts";

const sha256Pattern = /^[0-9a-f]{64}$/;

/** Large blobs lie here until all of them is there: their name is the hash of what has not yet been seen. */
const incoming = "incoming/";

/** Blobs in the bucket, as `blobs/<sha256>`. What comes back is proven by its hash, as far as it is read. */
export function createOciBlobs(bucket: OciBucket): BlobStore {
  return {
    async put(content, signal) {
      signal?.throwIfAborted();
      const hash = createHash("sha256");
      const uploaded = await upload(
        bucket,
        {
          content,
          condition: { ifNoneMatch: "*" },
          watch: (bytes) => hash.update(bytes),
          name: () => nameOf(hash.copy().digest("hex")),
          nameInParts: () => `${incoming}${randomUUID()}`,
        },
        signal,
      );
      const sha256 = hash.digest("hex");
      if (uploaded.name !== nameOf(sha256)) await bucket.rename(uploaded.name, nameOf(sha256), signal);
      return { sha256, bytes: uploaded.bytes };
    },

    async get(sha256, signal) {
      signal?.throwIfAborted();
      if (!sha256Pattern.test(sha256)) return undefined;
      const found = await bucket.get(nameOf(sha256), signal);
      return found && proven(found.content, sha256);
    },
  };
}

function nameOf(sha256: string): string {
  return `blobs/${sha256}`;
}

async function* proven(content: AsyncIterable<Uint8Array>, sha256: string): AsyncGenerator<Uint8Array> {
  const hash: Hash = createHash("sha256");
  for await (const chunk of content) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest("hex") !== sha256) throw new Error("the bytes of a blob are not those that its name stands for");
}
