import { type Condition, type OciBucket, partBytes } from "./bucket.ts";
import { inParts } from "./parts.ts";

/** What to upload, and the names that it gets. */
export interface UploadOrder {
  content: Uint8Array | AsyncIterable<Uint8Array>;
  condition: Condition;
  /** Sees the bytes on their way. */
  watch?: (bytes: Uint8Array) => void;
  /** Name of an object that goes in one request, when all of it has been seen. */
  name: () => string;
  /** Name of one that goes in parts: that must be known before they are. */
  nameInParts: () => string;
}

/** What came of it; `tag` is undefined when the condition did not hold. */
export interface Uploaded {
  bytes: number;
  tag: string | undefined;
  /** Under which name it was stored. */
  name: string;
}

/** Uploads bytes in one request if they fit, else in parts, one in memory at a time. What fails on the way is given up. */
export async function upload(bucket: OciBucket, order: UploadOrder, signal?: AbortSignal): Promise<Uploaded> {
  const parts = inParts(order.content, partBytes);
  const first = await parts.next();
  const part = first.done ? new Uint8Array() : first.value;
  order.watch?.(part);
  if (part.byteLength < partBytes) {
    const name = order.name();
    return { bytes: part.byteLength, name, tag: await bucket.put(name, part, order.condition, signal) };
  }

  const begun = await bucket.beginUpload(order.nameInParts(), signal);
  try {
    await bucket.addPart(begun, part, signal);
    let bytes = part.byteLength;
    for await (const next of parts) {
      if (next.byteLength === 0) continue;
      order.watch?.(next);
      await bucket.addPart(begun, next, signal);
      bytes += next.byteLength;
    }
    const tag = await bucket.commitUpload(begun, order.condition, signal);
    if (tag === undefined) await bucket.abortUpload(begun);
    return { bytes, name: begun.name, tag };
  } catch (error) {
    // What was thrown first says more than that this did not work either.
    await bucket.abortUpload(begun).catch(() => {});
    throw error;
  }
}
