import { createHash, randomBytes } from "node:crypto";
import { readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { OciBucket, OciClients } from "@flotilla/oci";
import type { LocalOciOptions } from "@flotilla/oci/local";
import { Range } from "oci-common";
import { ObjectStorageClient, type requests } from "oci-objectstorage";
import { expect, onTestFinished, test, vi } from "vitest";
import { allOf, bytesOf, Rig } from "./rig.ts";

const place = { namespaceName: "local", bucketName: "agent-checkpoints" };
const createBucketDetails = { name: place.bucketName, compartmentId: "local" };

/** The client of the SDK as it comes, and its bucket. */
async function start(options: Partial<LocalOciOptions> = {}): Promise<{ rig: Rig; client: ObjectStorageClient }> {
  // It tells of every failure there, also of one that a test wants.
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  onTestFinished(() => warn.mockRestore());
  const rig = await Rig.start(options);
  const client = new ObjectStorageClient({ authenticationDetailsProvider: rig.provider() });
  onTestFinished(() => client.close());
  client.endpoint = rig.local.endpoint;
  await client.createBucket({ namespaceName: place.namespaceName, createBucketDetails });
  return { rig, client };
}

function put(
  client: ObjectStorageClient,
  objectName: string,
  content: Buffer,
  more: Partial<requests.PutObjectRequest> = {},
) {
  return client.putObject({ ...place, objectName, contentLength: content.byteLength, putObjectBody: content, ...more });
}

async function get(client: ObjectStorageClient, objectName: string, more: Partial<requests.GetObjectRequest> = {}) {
  const { value, ...rest } = await client.getObject({ ...place, objectName, ...more });
  // Of Node's fetch the body is a web stream, which can be iterated; the type knows that of browsers only.
  return { ...rest, content: await bytesOf(value as AsyncIterable<Uint8Array>) };
}

function refused(statusCode: number, serviceCode: string) {
  return expect.objectContaining({ statusCode, serviceCode });
}

async function names(client: ObjectStorageClient, query: Partial<requests.ListObjectsRequest>) {
  const { listObjects } = await client.listObjects({ ...place, ...query });
  const { objects, prefixes, nextStartWith } = listObjects;
  return { names: objects.map(({ name }) => name), prefixes, nextStartWith };
}

test("a bucket is made once, and one that is not there is not found", async () => {
  const { client } = await start();
  expect((await client.getNamespace({})).value).toBe("local");
  expect((await client.getBucket(place)).bucket).toMatchObject({ name: "agent-checkpoints", namespace: "local" });
  const again = client.createBucket({ namespaceName: "local", createBucketDetails });
  await expect(again).rejects.toEqual(refused(409, "BucketAlreadyExists"));
  await expect(client.getBucket({ ...place, bucketName: "none" })).rejects.toEqual(refused(404, "BucketNotFound"));
  await expect(client.getBucket({ ...place, namespaceName: "other" })).rejects.toEqual(
    refused(404, "NamespaceNotFound"),
  );
  const escape = { name: "..", compartmentId: "local" };
  const outside = client.createBucket({ namespaceName: "local", createBucketDetails: escape });
  await expect(outside).rejects.toEqual(refused(400, "InvalidParameter"));
});

test("an object has its bytes, its hash, its metadata and a tag that is another after each put", async () => {
  const { client } = await start();
  const content = Buffer.from("the quick brown fox");
  const md5 = createHash("md5").update(content).digest("base64");
  const first = await put(client, "a/b c?&=%/ä", content, {
    opcMeta: { kind: "test" },
    contentType: "text/plain",
    contentMD5: md5,
  });
  expect(first).toMatchObject({ opcContentMd5: md5, opcRequestId: expect.any(String) });
  const found = await get(client, "a/b c?&=%/ä");
  expect(found).toMatchObject({ eTag: first.eTag, contentLength: 19, contentMd5: md5, contentType: "text/plain" });
  expect(found.opcMeta).toEqual({ "opc-meta-kind": "test" });
  expect(found.content).toEqual(content);
  expect(await client.headObject({ ...place, objectName: "a/b c?&=%/ä" })).toMatchObject({
    eTag: first.eTag,
    contentLength: 19,
  });
  expect((await put(client, "a/b c?&=%/ä", content)).eTag).not.toBe(first.eTag);
});

test("a hash that is not that of the bytes is refused, and nothing is stored", async () => {
  const { client } = await start();
  const contentMD5 = createHash("md5").update("other").digest("base64");
  await expect(put(client, "a", Buffer.from("x"), { contentMD5 })).rejects.toEqual(refused(400, "UnmatchedContentMD5"));
  await expect(get(client, "a")).rejects.toEqual(refused(404, "ObjectNotFound"));
});

test("conditions of puts, gets and deletes hold or refuse", async () => {
  const { client } = await start();
  const { eTag: ifMatch } = await put(client, "a", Buffer.from("1"), { ifNoneMatch: "*" });
  await expect(put(client, "a", Buffer.from("2"), { ifNoneMatch: "*" })).rejects.toEqual(
    refused(412, "IfNoneMatchFailed"),
  );
  await put(client, "a", Buffer.from("2"), { ifMatch });
  await expect(put(client, "a", Buffer.from("3"), { ifMatch })).rejects.toEqual(refused(412, "IfMatchFailed"));
  await expect(get(client, "a", { ifMatch })).rejects.toEqual(refused(412, "IfMatchFailed"));
  await expect(client.deleteObject({ ...place, objectName: "a", ifMatch })).rejects.toEqual(
    refused(412, "IfMatchFailed"),
  );
  await client.deleteObject({ ...place, objectName: "a" });
  await expect(client.deleteObject({ ...place, objectName: "a" })).rejects.toEqual(refused(404, "ObjectNotFound"));
});

test("a range is part of the object, and one outside of it is refused", async () => {
  const { client } = await start();
  await put(client, "a", Buffer.from("0123456789"));
  const middle = await get(client, "a", { range: new Range(2, 4, 10) });
  expect(middle.content.toString()).toBe("234");
  expect((await get(client, "a", { range: new Range(7, 99, 10) })).content.toString()).toBe("789");
  await expect(get(client, "a", { range: new Range(10, 12, 10) })).rejects.toEqual(refused(416, "InvalidRange"));
});

test("a listing has pages, bounds, fields and common prefixes", async () => {
  const { client } = await start();
  const all = ["a/1", "a/2", "a/b/1", "a/b/2", "a/c", "b"];
  for (const name of all.toReversed()) await put(client, name, Buffer.from(name));
  expect(await names(client, {})).toEqual({ names: all, prefixes: [], nextStartWith: undefined });
  expect(await names(client, { limit: 2 })).toMatchObject({ names: ["a/1", "a/2"], nextStartWith: "a/b/1" });
  expect(await names(client, { limit: 2, start: "a/b/1" })).toMatchObject({
    names: ["a/b/1", "a/b/2"],
    nextStartWith: "a/c",
  });
  expect(await names(client, { prefix: "a/", end: "a/b/2" })).toMatchObject({ names: ["a/1", "a/2", "a/b/1"] });
  expect(await names(client, { startAfter: "a/c" })).toMatchObject({ names: ["b"] });
  expect(await names(client, { prefix: "a/", delimiter: "/" })).toMatchObject({
    names: ["a/1", "a/2", "a/c"],
    prefixes: ["a/b/"],
  });
  expect(await names(client, { delimiter: "/", limit: 1 })).toMatchObject({
    names: [],
    prefixes: ["a/"],
    nextStartWith: "b",
  });
  const { listObjects } = await client.listObjects({ ...place, limit: 1, fields: "name,size,md5,etag,timeModified" });
  expect(listObjects.objects[0]).toMatchObject({
    name: "a/1",
    size: 3,
    etag: expect.any(String),
    md5: expect.any(String),
  });
  await expect(client.listObjects({ ...place, limit: 1001 })).rejects.toEqual(refused(400, "InvalidParameter"));
});

test("parts make one object, in the order of their numbers; those that are left out are dropped", async () => {
  const { client } = await start({ minPartBytes: 1000 });
  const large = randomBytes(1000);
  const begin = async () => {
    const createMultipartUploadDetails = { object: "large" };
    const { multipartUpload } = await client.createMultipartUpload({ ...place, createMultipartUploadDetails });
    return { ...place, objectName: "large", uploadId: multipartUpload.uploadId };
  };
  const upload = await begin();
  const part = async (uploadPartNum: number, uploadPartBody: Buffer) => {
    const { eTag: etag } = await client.uploadPart({
      ...upload,
      uploadPartNum,
      uploadPartBody,
      contentLength: uploadPartBody.byteLength,
    });
    return { partNum: uploadPartNum, etag };
  };
  const last = await part(7, Buffer.from("the end"));
  const dropped = await part(3, Buffer.from("dropped"));
  const first = await part(1, large);
  expect((await client.listMultipartUploadParts(upload)).items.map(({ partNumber }) => partNumber)).toEqual([1, 3, 7]);
  const commit = (partsToCommit: { partNum: number; etag: string }[]) =>
    client.commitMultipartUpload({ ...upload, commitMultipartUploadDetails: { partsToCommit } });
  await expect(commit([first, dropped, last])).rejects.toEqual(refused(400, "InvalidUploadPart"));
  await expect(commit([{ ...first, etag: "wrong" }])).rejects.toEqual(refused(400, "InvalidUploadPart"));
  await expect(get(client, "large")).rejects.toEqual(refused(404, "ObjectNotFound"));
  await commit([last, first]);
  expect((await get(client, "large")).content.equals(Buffer.concat([large, Buffer.from("the end")]))).toBe(true);
  await expect(commit([first])).rejects.toEqual(refused(404, "NoSuchUpload"));

  const given = await begin();
  expect((await client.listMultipartUploads(place)).items.map(({ uploadId }) => uploadId)).toEqual([given.uploadId]);
  await client.abortMultipartUpload(given);
  expect((await client.listMultipartUploads(place)).items).toEqual([]);
});

test("what was acknowledged is there after a restart; an object that was cut off is not", async () => {
  const { rig, client } = await start();
  await put(client, "kept", Buffer.from("kept"), { opcMeta: { a: "b" } });
  const { eTag } = await put(client, "gone", Buffer.from("x".repeat(1000)));
  const objects = join(rig.folder, "buckets", place.bucketName, "objects");
  const gone = createHash("sha256").update("gone").digest("hex");
  expect(await readdir(objects)).toContain(gone);
  await truncate(join(objects, gone), 900);
  await rig.restart();
  expect(await get(client, "kept")).toMatchObject({ opcMeta: { "opc-meta-a": "b" } });
  expect(await names(client, {})).toMatchObject({ names: ["kept"] });
  expect((await put(client, "gone", Buffer.from("again"), { ifNoneMatch: "*" })).eTag).not.toBe(eTag);
});

test("what this server does not know is refused as OCI does, and counted", async () => {
  const { rig, client } = await start();
  await expect(client.listBuckets({ namespaceName: "local", compartmentId: "local" })).rejects.toEqual(
    refused(404, "NotAuthorizedOrNotFound"),
  );
  expect(rig.local.unknown).toEqual(["GET /n/local/b"]);
});

test("our bucket: a put whose reply is lost is stored once, and is its own and not a conflict", async () => {
  const rig = await Rig.start();
  const bucket = await rig.bucket();
  rig.local.faults.inject({ kind: "lose-reply" }, { operation: "PutObject" });
  const etag = await bucket.put("open/a", Buffer.from("mine"), { ifNoneMatch: "*" });
  expect(etag).toBe((await allOf(bucket.list("open/", undefined)))[0]?.etag);
  expect(rig.local.calls.get("PutObject")).toBe(2);
  // One that another has put is not.
  rig.local.faults.inject({ kind: "reset" }, { operation: "PutObject" });
  expect(await bucket.put("open/a", Buffer.from("other"), { ifNoneMatch: "*" })).toBeUndefined();
  rig.local.faults.inject({ kind: "lose-reply" }, { operation: "DeleteObject" });
  expect(await bucket.delete("open/a")).toBe(true);
});

test("our bucket: reading goes on where its connection was lost", async () => {
  const rig = await Rig.start();
  const bucket = await rig.bucket();
  const content = randomBytes(300_000);
  await bucket.put("open/a", content, {});
  rig.local.faults.inject({ kind: "cut", afterBytes: 100_000 }, { operation: "GetObject", times: 2 });
  const found = await bucket.get("open/a");
  expect((await bytesOf(found?.content)).equals(content)).toBe(true);
  expect(rig.local.calls.get("GetObject")).toBe(3);
});

test("our bucket: no bucket is no answer to what was asked of it", async () => {
  const rig = await Rig.start();
  const bucket = await rig.bucket();
  await rig.local.stop();
  const other = await Rig.start();
  const missing = new OciBucket(new OciClients(other.settings()));
  await expect(missing.get("open/a")).rejects.toMatchObject({ kind: "missing", serviceCode: "BucketNotFound" });
  await expect(bucket.put("open/a", Buffer.from("x"), {}, AbortSignal.timeout(50))).rejects.toThrow();
  const { compartmentId: _, ...settings } = other.settings();
  const unplaced = new OciBucket(new OciClients(settings));
  await expect(unplaced.ensure()).rejects.toThrow("set OCI_COMPARTMENT_ID");
});
