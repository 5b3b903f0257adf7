import { randomUUID } from "node:crypto";
import {
  createOciArchive,
  createOciBlobs,
  createOciStreamWriter,
  OciBucket,
  OciClients,
  OciStreamReader,
} from "@flotilla/oci";
import {
  createFileArchive,
  createFileBlobs,
  createFileStreamWriter,
  FileStreamReader,
  ociEnvironment,
  ociSettings,
  parseConfig,
} from "@flotilla/runtime";
import type { Archive, BlobStore, StreamReader, StreamReaderOptions, StreamWriter } from "@flotilla/workflow";
import { onTestFinished } from "vitest";
import { folder, Rig } from "../rig.ts";

/** A stream to try: its end, and members of its groups. */
export interface StreamUnderTest {
  writer: StreamWriter;
  reader(options: StreamReaderOptions): StreamReader;
}

/** One way to keep things, opened anew for each test. */
export interface Adapter {
  name: string;
  blobs(): Promise<BlobStore>;
  archive(): Promise<Archive>;
  /** Undefined where there is no stream to try. */
  stream(): Promise<StreamUnderTest>;
}

const files: Adapter = {
  name: "files",
  blobs: async () => createFileBlobs(await folder()),
  archive: async () => createFileArchive(await folder()),
  async stream() {
    const directory = await folder();
    return {
      writer: createFileStreamWriter(directory, "events"),
      reader: (options) => new FileStreamReader(directory, "events", options),
    };
  },
};

const local: Adapter = {
  name: "OCI, the local server",
  blobs: async () => createOciBlobs(await (await Rig.start()).bucket()),
  archive: async () => createOciArchive(await (await Rig.start()).bucket()),
  async stream() {
    const rig = await Rig.start();
    return streamOf(rig.clients(), await rig.stream());
  },
};

function streamOf(clients: OciClients, streamId: string): StreamUnderTest {
  return {
    writer: createOciStreamWriter(clients, streamId),
    reader: (options) => new OciStreamReader(clients, streamId, options),
  };
}

/** The tenancy that the environment names. What the suite stores there it removes, but blobs, which it makes small. */
function tenancy(): Adapter[] {
  const config = parseConfig(ociEnvironment, process.env);
  const settings = ociSettings(config);
  if (!settings || settings.credentials.kind === "local") return [];
  const streamId = config.OCI_STREAM_ID;
  const clients = () => {
    const clients = new OciClients(settings);
    onTestFinished(() => clients.close());
    return clients;
  };
  return [
    {
      name: "OCI, the tenancy of the environment",
      blobs: async () => createOciBlobs(new OciBucket(clients())),
      archive: async () => createOciArchive(new OciBucket(clients())),
      async stream() {
        if (streamId === undefined) throw new Error("set OCI_STREAM_ID to the stream of a test");
        return streamOf(clients(), streamId);
      },
    },
  ];
}

/** Every way to keep things that can be tried here. */
export const adapters: Adapter[] = [files, local, ...tenancy()];

/** A name that nobody else has: what a run leaves in a tenancy is not in the way of the next one. */
export function unique(name: string): string {
  return `${name}-${randomUUID()}`;
}

/** Names of a place that nobody else has, all of which are removed. */
export function placeIn(archive: Archive): string {
  const place = `open/${unique("conformance")}`;
  onTestFinished(async () => {
    for await (const { name } of archive.list(`${place}/`)) await archive.delete(name);
  });
  return place;
}
