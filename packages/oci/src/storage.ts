import { hostname } from "node:os";
import {
  ConfigError,
  createFileArchive,
  createFileBlobs,
  createFileStreamWriter,
  FileStreamReader,
  type Logger,
  type OciSettings,
  ociSettings,
  type Service,
} from "@flotilla/runtime";
import {
  type Archive,
  type AuditLog,
  type BlobStore,
  type MetricSink,
  StoreUnavailableError,
  type StreamReader,
  type StreamReaderOptions,
  type StreamWriter,
} from "@flotilla/workflow";
import { OciClients } from "./clients.ts";
import { createOciAuditLog } from "./logging/audit-log.ts";
import { createOciMetricSink } from "./monitoring/sink.ts";
import { createOciArchive } from "./object-storage/archive.ts";
import { createOciBlobs } from "./object-storage/blobs.ts";
import { OciBucket } from "./object-storage/bucket.ts";
import { OciStreamReader } from "./streaming/reader.ts";
import { createOciStreamWriter } from "./streaming/writer.ts";

/** How long a start waits for Object Storage; one that is away must not keep a fleet from its work. */
const startPatience = { attemptMs: 3000, attempts: 2, budgetMs: 5000 };

/** Streams by their ids. */
export interface Streams {
  writer(streamId: string): StreamWriter;
  reader(streamId: string, options: StreamReaderOptions): StreamReader;
}

/** Where a process keeps what Redis does not: in Oracle Cloud where `OCI_AUTH` is set, else in the data folder. */
export interface Storage {
  blobs: BlobStore;
  archive: Archive;
  streams: Streams;
  /** Monitoring and Logging of Oracle Cloud, where variables name what to use of them. */
  metricSink?: MetricSink;
  auditLog?: AuditLog;
  /** To be started before it is used. */
  services: readonly Service[];
}

/** The storage that the variables name. */
export function openStorage(
  config: Parameters<typeof ociSettings>[0] & { FLOTILLA_DATA_DIR: string },
  logger: Logger,
): Storage {
  const oci = ociSettings(config);
  if (!oci) {
    const directory = config.FLOTILLA_DATA_DIR;
    const streams: Streams = {
      writer: (streamId) => createFileStreamWriter(directory, streamId),
      reader: (streamId, options) => new FileStreamReader(directory, streamId, options),
    };
    return { blobs: createFileBlobs(directory), archive: createFileArchive(directory), streams, services: [] };
  }
  const storage = new OciStorage(oci, logger);
  const { clients } = storage;
  const streams: Streams = {
    writer: (streamId) => createOciStreamWriter(clients, streamId),
    reader: (streamId, options) => new OciStreamReader(clients, streamId, options),
  };
  const { monitoring, compartmentId, auditLogId } = oci;
  return {
    blobs: storage.blobs,
    archive: storage.archive,
    streams,
    ...(monitoring &&
      compartmentId !== undefined && {
        metricSink: createOciMetricSink(clients, { ...monitoring, compartmentId }),
      }),
    ...(auditLogId !== undefined && {
      auditLog: createOciAuditLog(clients, auditLogId, { source: hostname(), type: "flotilla.audit" }),
    }),
    services: [storage],
  };
}

/** What a process keeps in Object Storage. */
export class OciStorage implements Service {
  readonly blobs: BlobStore;
  readonly archive: Archive;
  readonly clients: OciClients;
  readonly #bucket: OciBucket;
  readonly #logger: Logger;

  constructor(settings: OciSettings, logger: Logger) {
    this.clients = new OciClients(settings);
    this.#bucket = new OciBucket(this.clients);
    this.blobs = createOciBlobs(this.#bucket);
    this.archive = createOciArchive(this.#bucket);
    this.#logger = logger;
  }

  /** Looks for the bucket. Where there is none and none can be made, or nobody is let in, it throws a `ConfigError`. */
  async start(): Promise<void> {
    try {
      await this.#bucket.ensure(startPatience);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw refused(error);
      this.#logger.warn({ err: error }, "object storage is away");
    }
  }

  async stop(): Promise<void> {
    await this.clients.close();
  }
}

function refused(error: unknown): ConfigError {
  const problem = `and its kin do not lead to a bucket: ${error instanceof Error ? error.message : String(error)}`;
  return new ConfigError([{ variable: "OCI_AUTH", problem, advice: "see docs/oracle-cloud.md" }]);
}
