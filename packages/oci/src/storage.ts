import { ConfigError, type Logger, type OciSettings, type Service } from "@flotilla/runtime";
import { type Archive, type BlobStore, StoreUnavailableError } from "@flotilla/workflow";
import { OciClients } from "./clients.ts";
import { createOciArchive } from "./object-storage/archive.ts";
import { createOciBlobs } from "./object-storage/blobs.ts";
import { OciBucket } from "./object-storage/bucket.ts";

/** How long a start waits for Object Storage; one that is away must not keep a fleet from its work. */
const startPatience = { attemptMs: 3000, attempts: 2, budgetMs: 5000 };

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
