import type { OciSettings } from "@flotilla/runtime";
import type { AuthParams, AuthenticationDetailsProvider, ClientConfiguration } from "oci-common";
import type { LoggingClient } from "oci-loggingingestion";
import type { MonitoringClient } from "oci-monitoring";
import type { ObjectStorageClient } from "oci-objectstorage";
import type { StreamAdminClient, StreamClient } from "oci-streaming";
import { callOci, type OciCall } from "./call.ts";
import { providerOf } from "./credentials.ts";
import { toldToCallers } from "./failure.ts";
import { Signer } from "./signer.ts";
import { Transport } from "./transport.ts";

/** A call of one of the clients: made by `send`, with all that `callOci` does about it. */
export type ClientCall<C, T> = Omit<OciCall<T>, "transport" | "send"> & {
  send: (client: C, attempt: number) => Promise<T>;
};

/** What all clients share. */
interface Connection {
  transport: Transport;
  region: string | undefined;
  /** For the constructors of the clients. */
  parameters: AuthParams;
  configuration: ClientConfiguration;
}

/**
 * The clients of the SDK for one set of credentials. A call rejects with an `OciFailure`, with a `StoreUnavailableError`
 * where the service was not to be had, or with the reason of its signal. Each package is imported when its client is first used: together
 * they cost 0.3 s and 30 MB, and who uses none should not pay.
 */
export class OciClients {
  readonly settings: OciSettings;
  #connection: Promise<Connection> | undefined;
  #objectStorage: Promise<ObjectStorageClient> | undefined;
  #streamAdmin: Promise<StreamAdminClient> | undefined;
  #monitoring: Promise<MonitoringClient> | undefined;
  #logging: Promise<LoggingClient> | undefined;
  readonly #streams = new Map<string, Promise<StreamClient>>();

  constructor(settings: OciSettings) {
    this.settings = settings;
  }

  /** Calls Object Storage. */
  async objectStorage<T>(call: ClientCall<ObjectStorageClient, T>, signal?: AbortSignal): Promise<T> {
    this.#objectStorage ??= forgetting(this.#openObjectStorage(), () => (this.#objectStorage = undefined));
    return this.#call(await this.#objectStorage, call, signal);
  }

  /** Calls what tells of streams. */
  async streamAdmin<T>(call: ClientCall<StreamAdminClient, T>, signal?: AbortSignal): Promise<T> {
    this.#streamAdmin ??= forgetting(this.#openStreamAdmin(), () => (this.#streamAdmin = undefined));
    return this.#call(await this.#streamAdmin, call, signal);
  }

  /** Calls what takes in measurements. */
  async monitoring<T>(call: ClientCall<MonitoringClient, T>, signal?: AbortSignal): Promise<T> {
    this.#monitoring ??= forgetting(this.#openMonitoring(), () => (this.#monitoring = undefined));
    return this.#call(await this.#monitoring, call, signal);
  }

  /** Calls what takes in lines of logs. */
  async logging<T>(call: ClientCall<LoggingClient, T>, signal?: AbortSignal): Promise<T> {
    this.#logging ??= forgetting(this.#openLogging(), () => (this.#logging = undefined));
    return this.#call(await this.#logging, call, signal);
  }

  /** Calls the stream, where its messages are. */
  async stream<T>(streamId: string, call: ClientCall<StreamClient, T>, signal?: AbortSignal): Promise<T> {
    const client =
      this.#streams.get(streamId) ?? forgetting(this.#openStream(streamId), () => this.#streams.delete(streamId));
    this.#streams.set(streamId, client);
    return this.#call(await client, call, signal);
  }

  /** Ends idle connections. A call after this opens new ones. */
  async close(): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined);
    connection?.transport.close();
  }

  async #call<C, T>(client: C, { send, ...call }: ClientCall<C, T>, signal?: AbortSignal): Promise<T> {
    const { transport } = await this.#connected();
    try {
      return await callOci({ ...call, transport, send: (attempt) => send(client, attempt) }, signal);
    } catch (error) {
      throw toldToCallers(error);
    }
  }

  async #openObjectStorage(): Promise<ObjectStorageClient> {
    const { parameters, configuration, region } = await this.#connected();
    const { ObjectStorageClient } = await import("oci-objectstorage");
    return placed(new ObjectStorageClient(parameters, configuration), this.settings.endpoints.objectStorage, region);
  }

  async #openStreamAdmin(): Promise<StreamAdminClient> {
    const { parameters, configuration, region } = await this.#connected();
    const { StreamAdminClient } = await import("oci-streaming");
    return placed(new StreamAdminClient(parameters, configuration), this.settings.endpoints.streaming, region);
  }

  async #openMonitoring(): Promise<MonitoringClient> {
    const { parameters, configuration, region } = await this.#connected();
    const { MonitoringClient } = await import("oci-monitoring");
    const client = new MonitoringClient(parameters, configuration);
    const { monitoring } = this.settings.endpoints;
    if (monitoring === undefined) {
      placed(client, undefined, region);
      // What takes measurements in has an address of its own, which the client does not know.
      const { origin } = new URL(client.endpoint);
      client.endpoint = origin.replace("//telemetry.", "//telemetry-ingestion.");
      return client;
    }
    return placed(client, monitoring, region);
  }

  async #openLogging(): Promise<LoggingClient> {
    const { parameters, configuration, region } = await this.#connected();
    const { LoggingClient } = await import("oci-loggingingestion");
    return placed(new LoggingClient(parameters, configuration), this.settings.endpoints.logging, region);
  }

  /** Each stream says at which address its messages are. */
  async #openStream(streamId: string): Promise<StreamClient> {
    const { parameters, configuration } = await this.#connected();
    const { StreamClient } = await import("oci-streaming");
    const client = new StreamClient(parameters, configuration);
    client.endpoint = this.settings.endpoints.streaming ?? (await this.#messagesEndpoint(streamId));
    return client;
  }

  async #messagesEndpoint(streamId: string): Promise<string> {
    const { stream } = await this.streamAdmin({
      operation: "GetStream",
      send: (client) => client.getStream({ streamId }),
    });
    return stream.messagesEndpoint;
  }

  #connected(): Promise<Connection> {
    return (this.#connection ??= forgetting(this.#connect(), () => (this.#connection = undefined)));
  }

  async #connect(): Promise<Connection> {
    const { CircuitBreaker } = await import("oci-common");
    const provider = await providerOf(this.settings.credentials);
    const transport = new Transport(new Signer(provider));
    return {
      transport,
      region: this.settings.region ?? regionOf(provider),
      parameters: { httpClient: transport },
      configuration: {
        // Ours is the only retry; theirs also writes every failure to the console.
        retryConfiguration: {
          retryCondition: () => true,
          terminationStrategy: { shouldTerminate: () => Transport.giveUp() },
        },
        circuitBreaker: new CircuitBreaker({ disableClientCircuitBreaker: true }),
      },
    };
  }
}

/** Lets what failed be tried again at the next call. */
function forgetting<T>(opening: Promise<T>, forget: () => void): Promise<T> {
  opening.catch(forget);
  return opening;
}

/** Sets where the service is: what was named, or the region's. */
function placed<C extends { endpoint: string; regionId: string }>(
  client: C,
  endpoint: string | undefined,
  region: string | undefined,
): C {
  if (endpoint !== undefined) client.endpoint = endpoint;
  else if (region !== undefined) client.regionId = region;
  else throw new Error("no region is known: set OCI_REGION, or the endpoint of the service");
  return client;
}

function regionOf(provider: AuthenticationDetailsProvider): string | undefined {
  if (!("getRegion" in provider) || typeof provider.getRegion !== "function") return undefined;
  const region: unknown = provider.getRegion();
  const isNamed = typeof region === "object" && region !== null && "regionId" in region;
  return isNamed && typeof region.regionId === "string" ? region.regionId : undefined;
}
