import { createHash } from "node:crypto";
import type { ObjectStorageClient } from "oci-objectstorage";
import type { Patience } from "../call.ts";
import type { ClientCall, OciClients } from "../clients.ts";
import { OciFailure, toldToCallers } from "../failure.ts";

/** Of the bytes of one request: every part but the last must have 10 MiB, and no more is held in memory. */
export const partBytes = 10 * 1024 * 1024;

/** A part takes longer than other calls on a slow line. */
const uploadPatience = { attemptMs: 120_000, budgetMs: 300_000 };

/** How often reading goes on after its connection was lost. */
const maxResumes = 5;

/** What must be so for a write. */
export type Condition = { ifNoneMatch?: "*"; ifMatch?: string };

/** An object as it is listed. */
export interface BucketEntry {
  name: string;
  bytes: number;
  /** When it was put, in ms since the epoch. */
  at: number;
  etag: string;
}

/** The parts of an upload that has begun. */
export interface Upload {
  id: string;
  name: string;
  parts: { partNum: number; etag: string }[];
}

/** Where the object is. */
interface Place {
  namespaceName: string;
  bucketName: string;
}

/** One bucket, in the words of Object Storage. Expected refusals are answers, and writes may be repeated. */
export class OciBucket {
  readonly #clients: OciClients;
  #namespace: Promise<string> | undefined;

  constructor(clients: OciClients) {
    this.#clients = clients;
  }

  /** Makes the bucket if it is not there; that needs a compartment. */
  async ensure(patience: Partial<Patience> = {}, signal?: AbortSignal): Promise<void> {
    const isThere = await this.#unless(
      "missing",
      { operation: "GetBucket", patience, send: (client, place) => client.getBucket(place) },
      signal,
    );
    if (isThere) return;
    const { bucket: name, compartmentId } = this.#clients.settings;
    if (compartmentId === undefined) throw new Error(`there is no bucket ${name}: make it, or set OCI_COMPARTMENT_ID`);
    const createBucketDetails = { name, compartmentId };
    // Another process may have made it meanwhile.
    const send: BucketCall<unknown>["send"] = (client, place) => client.createBucket({ ...place, createBucketDetails });
    await this.#unless("conflict", { operation: "CreateBucket", patience, send }, signal);
  }

  /**
   * Stores bytes in one request. Undefined when the condition does not hold. A put whose answer was lost finds itself
   * in its own way when it is repeated: then what is there is compared with what was to be there.
   */
  async put(name: string, bytes: Uint8Array, condition: Condition, signal?: AbortSignal): Promise<string | undefined> {
    const contentMD5 = createHash("md5").update(bytes).digest("base64");
    let attempts = 0;
    const stored = await this.#unless(
      "conflict",
      {
        operation: "PutObject",
        patience: uploadPatience,
        send(client, place, attempt) {
          attempts = attempt;
          const content = { contentLength: bytes.byteLength, contentMD5, putObjectBody: bytes };
          return client.putObject({ ...place, objectName: name, ...content, ...condition });
        },
      },
      signal,
    );
    if (stored) return stored.eTag;
    return attempts > 1 ? this.#etagOf(name, contentMD5, signal) : undefined;
  }

  /** The object, its bytes from the first on, or undefined when there is none. */
  async get(
    name: string,
    signal?: AbortSignal,
  ): Promise<{ etag: string; bytes: number; content: AsyncIterable<Uint8Array> } | undefined> {
    const found = await this.#read(name, {}, signal);
    if (!found) return undefined;
    const { eTag: etag, contentLength: bytes } = found;
    return { etag, bytes, content: this.#content({ name, etag, bytes }, bytesIn(found.value), signal) };
  }

  /** The objects that begin with the prefix in the order of their names, from `start` on. */
  async *list(prefix: string, start: string | undefined, signal?: AbortSignal): AsyncGenerator<BucketEntry> {
    for (let next = start; ;) {
      const page = await this.#call(
        {
          operation: "ListObjects",
          send: (client, place) =>
            client.listObjects({
              ...place,
              // The SDK puts what it is given into the query as it is.
              prefix: encodeURIComponent(prefix),
              ...(next !== undefined && { start: encodeURIComponent(next) }),
              fields: "name,size,etag,timeModified",
              limit: 1000,
            }),
        },
        signal,
      );
      const { objects, nextStartWith } = page.listObjects;
      for (const { name, size = 0, etag = "", timeModified } of objects) {
        yield { name, bytes: size, at: new Date(timeModified ?? 0).getTime(), etag };
      }
      if (!nextStartWith) return;
      next = nextStartWith;
    }
  }

  /** Removes the object; whether there was one. */
  async delete(name: string, signal?: AbortSignal): Promise<boolean> {
    let attempts = 0;
    const send: BucketCall<unknown>["send"] = (client, place, attempt) => {
      attempts = attempt;
      return client.deleteObject({ ...place, objectName: name });
    };
    const deleted = await this.#unless("missing", { operation: "DeleteObject", send }, signal);
    // Gone at a repeated call: the earlier one may have done it, and its answer was lost.
    return deleted !== undefined || attempts > 1;
  }

  /** Renames the object unless there is one of the new name already; then the old one is removed. */
  async rename(sourceName: string, newName: string, signal?: AbortSignal): Promise<void> {
    const renameObjectDetails = { sourceName, newName, newObjIfNoneMatchETag: "*" };
    const send: BucketCall<unknown>["send"] = (client, place) => client.renameObject({ ...place, renameObjectDetails });
    try {
      const renamed = await this.#unless("conflict", { operation: "RenameObject", send }, signal);
      if (!renamed) await this.delete(sourceName, signal);
    } catch (error) {
      // An earlier attempt has done it, if the object is under its new name.
      const isMissing = error instanceof OciFailure && error.kind === "missing";
      if (!isMissing || !(await this.#head(newName, signal))) throw error;
    }
  }

  /** Begins an upload in parts; `name` is that of the object to be. */
  async beginUpload(name: string, signal?: AbortSignal): Promise<Upload> {
    const { multipartUpload } = await this.#call(
      {
        operation: "CreateMultipartUpload",
        send: (client, place) =>
          client.createMultipartUpload({ ...place, createMultipartUploadDetails: { object: name } }),
      },
      signal,
    );
    return { id: multipartUpload.uploadId, name, parts: [] };
  }

  /** Adds a part, of `partBytes` unless it is the last. The bytes may change once this resolves. */
  async addPart(upload: Upload, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const partNum = upload.parts.length + 1;
    const contentMD5 = createHash("md5").update(bytes).digest("base64");
    const { eTag: etag } = await this.#call(
      {
        operation: "UploadPart",
        patience: uploadPatience,
        send: (client, place) =>
          client.uploadPart({
            ...place,
            ...uploadOf(upload),
            uploadPartNum: partNum,
            contentLength: bytes.byteLength,
            contentMD5,
            uploadPartBody: bytes,
          }),
      },
      signal,
    );
    upload.parts.push({ partNum, etag });
  }

  /** Makes the object. Undefined when the condition does not hold. */
  async commitUpload(upload: Upload, condition: Condition, signal?: AbortSignal): Promise<string | undefined> {
    let attempts = 0;
    const call: BucketCall<{ eTag: string }> = {
      operation: "CommitMultipartUpload",
      patience: uploadPatience,
      send(client, place, attempt) {
        attempts = attempt;
        const commitMultipartUploadDetails = { partsToCommit: upload.parts };
        return client.commitMultipartUpload({
          ...place,
          ...uploadOf(upload),
          ...condition,
          commitMultipartUploadDetails,
        });
      },
    };
    try {
      const committed = await this.#unless("conflict", call, signal);
      return committed?.eTag;
    } catch (error) {
      const isMissing = error instanceof OciFailure && error.kind === "missing";
      const done = isMissing && attempts > 1 ? await this.#head(upload.name, signal) : undefined;
      if (!done) throw error;
      return done.eTag;
    }
  }

  /** Gives up an upload and what is held of it. */
  async abortUpload(upload: Upload): Promise<void> {
    await this.#unless("missing", {
      operation: "AbortMultipartUpload",
      send: (client, place) => client.abortMultipartUpload({ ...place, ...uploadOf(upload) }),
    });
  }

  /** The bytes of one answer, and of further ones where the connection is lost on the way. */
  async *#content(
    { name, etag, bytes }: Omit<BucketEntry, "at">,
    first: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let given = 0;
    let source = first;
    for (let resumes = 0; ; resumes++) {
      try {
        for await (const chunk of source) {
          given += chunk.byteLength;
          yield chunk;
        }
        if (given === bytes) return;
        throw new Error(`the answer ended after ${given} of ${bytes} bytes`);
      } catch (error) {
        signal?.throwIfAborted();
        if (resumes === maxResumes || given >= bytes) {
          throw toldToCallers(new OciFailure("unavailable", "GetObject", { cause: error }));
        }
      }
      // The same object or none: bytes of two do not make one.
      const rest = await this.#read(name, { ifMatch: etag, range: { startByte: given, endByte: bytes - 1 } }, signal);
      if (!rest) throw new OciFailure("missing", "GetObject", { message: "the object was removed while it was read" });
      source = bytesIn(rest.value);
    }
  }

  #read(name: string, options: { ifMatch?: string; range?: ByteRange }, signal?: AbortSignal) {
    const { range, ...condition } = options;
    return this.#unless(
      "missing",
      {
        operation: "GetObject",
        async send(client, place) {
          const { Range } = await import("oci-common");
          const ranged = range && { range: new Range(range.startByte, range.endByte, range.endByte + 1) };
          return client.getObject({ ...place, objectName: name, ...condition, ...ranged });
        },
      },
      signal,
    );
  }

  /** The tag of the object, if its bytes have that hash. */
  async #etagOf(name: string, contentMD5: string, signal?: AbortSignal): Promise<string | undefined> {
    const head = await this.#head(name, signal);
    return head?.contentMd5 === contentMD5 ? head.eTag : undefined;
  }

  #head(objectName: string, signal?: AbortSignal) {
    return this.#unless(
      "missing",
      { operation: "HeadObject", send: (client, place) => client.headObject({ ...place, objectName }) },
      signal,
    );
  }

  /** Makes the call, and answers undefined where it fails for that reason. */
  async #unless<T>(kind: "missing" | "conflict", call: BucketCall<T>, signal?: AbortSignal): Promise<T | undefined> {
    try {
      return await this.#call(call, signal);
    } catch (error) {
      // A bucket that is not there is no answer to what was asked.
      const isAnswer = error instanceof OciFailure && error.kind === kind;
      const isBucket = isAnswer && error.serviceCode === "BucketNotFound" && error.operation !== "GetBucket";
      if (!isAnswer || isBucket) throw error;
      return undefined;
    }
  }

  async #call<T>({ send, ...call }: BucketCall<T>, signal?: AbortSignal): Promise<T> {
    const place = {
      namespaceName: await this.#namespaceName(call.patience),
      bucketName: this.#clients.settings.bucket,
    };
    return this.#clients.objectStorage({ ...call, send: (client, attempt) => send(client, place, attempt) }, signal);
  }

  #namespaceName(patience: Partial<Patience> = {}): Promise<string> {
    const { namespace } = this.#clients.settings;
    if (namespace !== undefined) return Promise.resolve(namespace);
    this.#namespace ??= this.#clients
      .objectStorage({ operation: "GetNamespace", patience, send: (client) => client.getNamespace({}) })
      .then(
        ({ value }) => namespaceIn(value),
        (error: unknown) => {
          this.#namespace = undefined;
          throw error;
        },
      );
    return this.#namespace;
  }
}

type BucketCall<T> = Omit<ClientCall<ObjectStorageClient, T>, "send"> & {
  send: (client: ObjectStorageClient, place: Place, attempt: number) => Promise<T>;
};

interface ByteRange {
  startByte: number;
  endByte: number;
}

function uploadOf({ id, name }: Upload): { objectName: string; uploadId: string } {
  return { objectName: name, uploadId: id };
}

/** The SDK's type also knows the streams of Node, of which the transport makes none. */
function bytesIn(value: unknown): AsyncIterable<Uint8Array> {
  return (value ?? emptyStream()) as AsyncIterable<Uint8Array>;
}

async function* emptyStream(): AsyncGenerator<Uint8Array> {}

/** The service answers with a JSON text. */
function namespaceIn(value: unknown): string {
  if (typeof value !== "string" || value === "") throw new Error("Object Storage named no namespace");
  return value;
}
