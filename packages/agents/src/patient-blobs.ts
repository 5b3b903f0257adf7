import { setTimeout as delay } from "node:timers/promises";
import { type BlobStore, StoreUnavailableError } from "@flotilla/workflow";

const repeatAfterMs = 250;

/**
 * Blobs for one run of a task, which wait for room as the journal waits for Redis: what is kept has been paid for, and
 * a full disk is neither the failure of the task nor the death of its worker. `signal` ends the wait, with its reason;
 * a stream can be read but once, and is not waited for.
 */
export function patientBlobs(blobs: BlobStore, signal: AbortSignal): BlobStore {
  return {
    async put(content, given) {
      for (;;) {
        try {
          return await blobs.put(content, given);
        } catch (error) {
          if (!(error instanceof StoreUnavailableError) || !(content instanceof Uint8Array)) throw error;
          await delay(repeatAfterMs, undefined, { signal }).catch(() => signal.throwIfAborted());
        }
      }
    },
    get: (sha256, given) => blobs.get(sha256, given),
  };
}
