import { type Archive, expectArchiveName, type PutCondition } from "@flotilla/workflow";
import type { Condition, OciBucket } from "./bucket.ts";
import { upload } from "./upload.ts";

/** An archive in the bucket: objects under their own names. */
export function createOciArchive(bucket: OciBucket): Archive {
  return {
    async put(name, content, condition, signal) {
      signal?.throwIfAborted();
      expectArchiveName(name);
      const order = { content, condition: conditionOf(condition), name: () => name, nameInParts: () => name };
      const { tag } = await upload(bucket, order, signal);
      return tag === undefined ? { kind: "conflict" } : { kind: "stored", tag };
    },

    async get(name, signal) {
      signal?.throwIfAborted();
      expectArchiveName(name);
      const found = await bucket.get(name, signal);
      return found && { name, bytes: found.bytes, tag: found.etag, content: found.content };
    },

    async *list(prefix, { after } = {}, signal) {
      for await (const { name, bytes, at, etag } of bucket.list(prefix, after, signal)) {
        if (name !== after) yield { name, bytes, at, tag: etag };
      }
    },

    async delete(name, signal) {
      signal?.throwIfAborted();
      expectArchiveName(name);
      return bucket.delete(name, signal);
    },
  };
}

function conditionOf(condition: PutCondition | undefined): Condition {
  switch (condition?.kind) {
    case "absent":
      return { ifNoneMatch: "*" };
    case "match":
      return { ifMatch: condition.tag };
    case undefined:
      return {};
  }
}
