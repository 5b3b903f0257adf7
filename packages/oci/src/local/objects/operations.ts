import { createHash } from "node:crypto";
import { z } from "zod";
import { type Call, invalid, jsonOf, numberOf, type Operation, pathOf, Refusal, type Reply } from "../wire.ts";
import type { Condition, Listing } from "./bucket.ts";
import type { Buckets, HeldBucket } from "./buckets.ts";
import type { ObjectFacts } from "./object-file.ts";

const maxNameBytes = 1024;
const maxParts = 10_000;
const maxPageLength = 1000;

const Meta = z.record(z.string(), z.string());
const CreateBucket = z.object({ name: z.string().regex(/^[\w-][\w.-]{0,255}$/), compartmentId: z.string() });
const CreateUpload = z.object({
  object: z.string(),
  contentType: z.string().optional(),
  metadata: Meta.optional(),
});
const RenameObject = z.object({
  sourceName: z.string(),
  newName: z.string(),
  newObjIfNoneMatchETag: z.literal("*").optional(),
});
const CommitUpload = z.object({
  partsToCommit: z.array(z.object({ partNum: z.int(), etag: z.string() })).max(maxParts),
  partsToExclude: z.array(z.int()).optional(),
});

/** The operations of Object Storage that Flotilla calls, under their names there. */
export function objectOperations(namespace: string, buckets: Buckets): Operation[] {
  const bucketOf = (call: Call): HeldBucket => {
    if (pathOf(call, "namespace") !== namespace) {
      throw new Refusal(
        404,
        "NamespaceNotFound",
        "You do not have authorization to perform this request, or the namespace is not there",
      );
    }
    return buckets.find(pathOf(call, "bucket"));
  };
  const bucket = "/n/{namespace}/b/{bucket}";

  return [
    { name: "GetNamespace", method: "GET", pattern: "/n", answer: () => ({ status: 200, body: namespace }) },
    {
      name: "CreateBucket",
      method: "POST",
      pattern: "/n/{namespace}/b",
      async answer(call) {
        const details = jsonOf(call, CreateBucket);
        const created = await buckets.create(details.name, details.compartmentId);
        return describe(namespace, created, `/n/${namespace}/b/${created.facts.name}`);
      },
    },
    { name: "GetBucket", method: "GET", pattern: bucket, answer: (call) => describe(namespace, bucketOf(call)) },
    {
      name: "ListObjects",
      method: "GET",
      pattern: `${bucket}/o`,
      answer(call) {
        const { objects, prefixes, nextStartWith } = bucketOf(call).objects.list(listingOf(call.query));
        const fields = new Set((call.query.get("fields") ?? "name").split(","));
        const body = { objects: objects.map((facts) => summaryOf(facts, fields)), prefixes, nextStartWith };
        return { status: 200, body };
      },
    },
    {
      name: "PutObject",
      method: "PUT",
      pattern: `${bucket}/o/{object...}`,
      body: "bytes",
      async answer(call) {
        const { headers } = call.request;
        const description = {
          name: objectName(call),
          contentType: headers["content-type"] ?? "application/octet-stream",
          meta: metaOf(call),
        };
        const check = ({ bytes, md5 }: ObjectFacts) => expectBody(call, bytes, md5);
        const facts = await bucketOf(call).objects.put(call.request, description, conditionOf(call), { check });
        return { status: 200, headers: { etag: facts.etag, "opc-content-md5": facts.md5, ...modified(facts) } };
      },
    },
    {
      name: "GetObject",
      method: "GET",
      pattern: `${bucket}/o/{object...}`,
      answer: (call) => getObject(bucketOf(call), call),
    },
    {
      name: "HeadObject",
      method: "HEAD",
      pattern: `${bucket}/o/{object...}`,
      answer(call) {
        const facts = bucketOf(call).objects.find(objectName(call), conditionOf(call));
        return { status: 200, headers: { ...headersOf(facts), "content-length": String(facts.bytes) } };
      },
    },
    {
      name: "DeleteObject",
      method: "DELETE",
      pattern: `${bucket}/o/{object...}`,
      answer(call) {
        bucketOf(call).objects.delete(objectName(call), conditionOf(call));
        return { status: 204 };
      },
    },
    {
      name: "RenameObject",
      method: "POST",
      pattern: `${bucket}/actions/renameObject`,
      async answer(call) {
        const { sourceName, newName, newObjIfNoneMatchETag } = jsonOf(call, RenameObject);
        expectName(newName);
        const facts = await bucketOf(call).objects.rename(sourceName, newName, { ifNoneMatch: newObjIfNoneMatchETag });
        return { status: 200, headers: { etag: facts.etag, ...modified(facts) } };
      },
    },
    {
      name: "CreateMultipartUpload",
      method: "POST",
      pattern: `${bucket}/u`,
      async answer(call) {
        const { objects, uploads } = bucketOf(call);
        const details = jsonOf(call, CreateUpload);
        expectName(details.object);
        objects.expect(details.object, conditionOf(call));
        const { id, ...upload } = await uploads.create({
          name: details.object,
          contentType: details.contentType ?? "application/octet-stream",
          meta: details.metadata ?? {},
        });
        return { status: 200, body: uploadOf(namespace, pathOf(call, "bucket"), { ...upload, id }) };
      },
    },
    {
      name: "ListMultipartUploads",
      method: "GET",
      pattern: `${bucket}/u`,
      async answer(call) {
        const uploads = await bucketOf(call).uploads.list();
        return { status: 200, body: uploads.map((upload) => uploadOf(namespace, pathOf(call, "bucket"), upload)) };
      },
    },
    {
      name: "UploadPart",
      method: "PUT",
      pattern: `${bucket}/u/{object...}`,
      body: "bytes",
      async answer(call) {
        const number = numberOf(call.query, "uploadPartNum", 0, 1, maxParts);
        const { uploads } = bucketOf(call);
        const check = ({ bytes, md5 }: ObjectFacts) => expectBody(call, bytes, md5);
        const facts = await uploads.putPart(
          { id: uploadId(call), name: objectName(call), number },
          call.request,
          check,
        );
        return { status: 200, headers: { etag: facts.etag, "opc-content-md5": facts.md5 } };
      },
    },
    {
      name: "ListMultipartUploadParts",
      method: "GET",
      pattern: `${bucket}/u/{object...}`,
      async answer(call) {
        const { uploads } = bucketOf(call);
        await uploads.find(uploadId(call), objectName(call));
        const parts = await uploads.parts(uploadId(call));
        const body = parts.map(({ number, facts }) => ({
          partNumber: number,
          etag: facts.etag,
          md5: facts.md5,
          size: facts.bytes,
        }));
        return { status: 200, body };
      },
    },
    {
      name: "CommitMultipartUpload",
      method: "POST",
      pattern: `${bucket}/u/{object...}`,
      async answer(call) {
        const { partsToCommit } = jsonOf(call, CommitUpload);
        const { uploads } = bucketOf(call);
        const facts = await uploads.commit(uploadId(call), objectName(call), partsToCommit, conditionOf(call));
        return { status: 200, headers: { etag: facts.etag, "opc-multipart-md5": facts.md5, ...modified(facts) } };
      },
    },
    {
      name: "AbortMultipartUpload",
      method: "DELETE",
      pattern: `${bucket}/u/{object...}`,
      async answer(call) {
        await bucketOf(call).uploads.abort(uploadId(call), objectName(call));
        return { status: 204 };
      },
    },
  ];
}

async function getObject({ objects }: HeldBucket, call: Call): Promise<Reply> {
  const facts = objects.find(objectName(call), conditionOf(call));
  const range = rangeOf(call.request.headers.range, facts.bytes);
  const { start, end } = range ?? { start: 0, end: facts.bytes - 1 };
  const headers = { ...headersOf(facts), "content-length": String(end - start + 1) };
  const body = await objects.read(facts, start, end);
  if (!range) return { status: 200, headers, body };
  return { status: 206, headers: { ...headers, "content-range": `bytes ${start}-${end}/${facts.bytes}` }, body };
}

/** One range, as in RFC 9110; undefined when all is asked for. */
function rangeOf(header: string | undefined, bytes: number): { start: number; end: number } | undefined {
  const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  const start = first === "" ? Math.max(0, bytes - Number(last)) : Number(first);
  const end = first === "" || last === "" ? bytes - 1 : Math.min(Number(last), bytes - 1);
  if (start > end) {
    throw new Refusal(416, "InvalidRange", "The range is outside of the object", {
      "content-range": `bytes */${bytes}`,
    });
  }
  return { start, end };
}

function listingOf(query: URLSearchParams): Listing {
  return {
    prefix: query.get("prefix") ?? "",
    start: query.get("start") ?? undefined,
    startAfter: query.get("startAfter") ?? undefined,
    end: query.get("end") ?? undefined,
    delimiter: query.get("delimiter") || undefined,
    limit: numberOf(query, "limit", maxPageLength, 1, maxPageLength),
  };
}

function summaryOf(facts: ObjectFacts, fields: ReadonlySet<string>): Record<string, unknown> {
  return {
    name: facts.name,
    ...(fields.has("size") && { size: facts.bytes }),
    ...(fields.has("etag") && { etag: facts.etag }),
    ...(fields.has("md5") && { md5: facts.md5 }),
    ...(fields.has("timeCreated") && { timeCreated: facts.createdAt }),
    ...(fields.has("timeModified") && { timeModified: facts.modifiedAt }),
  };
}

function headersOf(facts: ObjectFacts): Record<string, string> {
  const meta = Object.entries(facts.meta).map(([key, value]) => [`opc-meta-${key}`, value]);
  return {
    etag: facts.etag,
    "content-type": facts.contentType,
    "accept-ranges": "bytes",
    [facts.multipart ? "opc-multipart-md5" : "content-md5"]: facts.md5,
    ...modified(facts),
    ...Object.fromEntries(meta),
  };
}

function modified({ modifiedAt }: ObjectFacts): Record<string, string> {
  return { "last-modified": new Date(modifiedAt).toUTCString() };
}

function conditionOf({ request: { headers } }: Call): Condition {
  return { ifMatch: headers["if-match"], ifNoneMatch: headers["if-none-match"] };
}

function metaOf({ request }: Call): Record<string, string> {
  const named = Object.entries(request.headers).filter(([name]) => name.startsWith("opc-meta-"));
  return Object.fromEntries(named.map(([name, value]) => [name.slice("opc-meta-".length), String(value)]));
}

/** What arrived is what was announced, by length and hash. */
function expectBody({ request: { headers } }: Call, bytes: number, md5: string): void {
  const announced = headers["content-length"];
  if (announced === undefined) throw new Refusal(411, "MissingContentLength", "The Content-Length header is missing");
  if (Number(announced) !== bytes) throw new Refusal(400, "RequestBodyTooShort", "The body ended early");
  if (headers["content-md5"] !== undefined && headers["content-md5"] !== md5) {
    throw new Refusal(400, "UnmatchedContentMD5", "The computed MD5 of the body does not match the Content-MD5 header");
  }
}

function objectName(call: Call): string {
  const name = pathOf(call, "object");
  expectName(name);
  return name;
}

function expectName(name: string): void {
  if (name === "" || Buffer.byteLength(name) > maxNameBytes || /[\0\r\n]/.test(name)) {
    throw new Refusal(
      400,
      "InvalidObjectName",
      `The name of an object has 1 to ${maxNameBytes} bytes and no line breaks`,
    );
  }
}

function uploadId(call: Call): string {
  const id = call.query.get("uploadId");
  if (id === null || !/^[0-9a-f-]{36}$/.test(id)) throw invalid("uploadId is not that of an upload");
  return id;
}

function uploadOf(namespace: string, bucket: string, upload: { id: string; name: string; createdAt: string }): object {
  const { id: uploadId, name: object, createdAt: timeCreated } = upload;
  return { namespace, bucket, object, uploadId, timeCreated, storageTier: "Standard" };
}

function describe(namespace: string, { facts }: HeldBucket, location?: string): Reply {
  const { name, compartmentId, createdAt } = facts;
  const etag = createHash("md5").update(name).digest("hex");
  return {
    status: 200,
    headers: { etag, ...(location !== undefined && { location }) },
    body: { namespace, name, compartmentId, createdBy: "local", timeCreated: createdAt, etag, storageTier: "Standard" },
  };
}
