import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { OciBucket, OciClients } from "@flotilla/oci";
import { localCredentials, LocalOci, type LocalOciOptions } from "@flotilla/oci/local";
import type { OciSettings } from "@flotilla/runtime";
import { ConfigFileAuthenticationDetailsProvider } from "oci-common";
import { inject, onTestFinished } from "vitest";

/** Made once for each process that runs tests, and there for all its files: a key takes a fifth of a second. */
const credentials = await mkdtemp(join(inject("folder"), "oci-key-")).then(localCredentials);

/** A folder of this test. */
export async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "flotilla-oci-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A local server and what it takes to talk to it. */
export class Rig {
  readonly folder: string;
  readonly configFile: string;
  local: LocalOci;
  readonly #options: LocalOciOptions;

  private constructor(options: LocalOciOptions, configFile: string, local: LocalOci) {
    this.folder = options.folder;
    this.configFile = configFile;
    this.local = local;
    this.#options = options;
  }

  static async start(options: Partial<LocalOciOptions> = {}): Promise<Rig> {
    const path = await folder();
    const { configFile, keys } = credentials;
    const all = { keys, folder: join(path, "data"), ...options };
    const rig = new Rig(all, configFile, await LocalOci.start(all));
    onTestFinished(() => rig.local.stop());
    return rig;
  }

  /** Ends the server and starts another one on the same folder and port. */
  async restart(): Promise<void> {
    const port = Number(new URL(this.local.endpoint).port);
    await this.local.stop();
    this.local = await LocalOci.start({ ...this.#options, port });
  }

  /** For the clients of the SDK as they come. */
  provider(): ConfigFileAuthenticationDetailsProvider {
    return new ConfigFileAuthenticationDetailsProvider(this.configFile);
  }

  settings(): OciSettings {
    const { endpoint } = this.local;
    return {
      credentials: { kind: "local", file: this.configFile, profile: "DEFAULT" },
      compartmentId: "ocid1.compartment.oc1..local",
      bucket: "agent-checkpoints",
      endpoints: { objectStorage: endpoint, streaming: endpoint, monitoring: endpoint, logging: endpoint },
    };
  }

  /** Our clients. */
  clients(): OciClients {
    const clients = new OciClients(this.settings());
    onTestFinished(() => clients.close());
    return clients;
  }

  /** Our bucket, made. */
  async bucket(): Promise<OciBucket> {
    const bucket = new OciBucket(this.clients());
    await bucket.ensure();
    return bucket;
  }

  /** A new stream. */
  async stream(partitions = 1): Promise<string> {
    const createStreamDetails = { name: "events", partitions, compartmentId: "local" };
    const { stream } = await this.clients().streamAdmin({
      operation: "CreateStream",
      send: (client) => client.createStream({ createStreamDetails }),
    });
    return stream.id;
  }
}

/** All bytes, or none where there is nothing. */
export async function bytesOf(content: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  return content ? buffer(content) : Buffer.alloc(0);
}

/** All that comes, in order. */
export async function allOf<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
}
