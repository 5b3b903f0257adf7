import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  loadPackageDefinition,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { decode, encode, ExtensionCodec } from "@msgpack/msgpack";
import { z } from "zod";
import type { Attribute, Block, ProviderSchema, Type } from "./schema.ts";

/** A value that is known after the apply. */
const unknown = Symbol("unknown");
const isUnknown = (value: unknown) => value === unknown;

const codec = new ExtensionCodec();
for (const type of [0, 12]) {
  // 12 says something about the value too, which may be dropped.
  codec.register({
    type,
    encode: (value) => (type === 0 && isUnknown(value) ? new Uint8Array(1) : null),
    decode: () => unknown,
  });
}

const Fields = z.record(z.string(), z.unknown());
type Fields = z.infer<typeof Fields>;
const Dynamic = z.object({ msgpack: z.instanceof(Uint8Array) });
const Request = z.object({
  type_name: z.string().default(""),
  config: Dynamic.nullish(),
  current_state: Dynamic.nullish(),
  prior_state: Dynamic.nullish(),
  proposed_new_state: Dynamic.nullish(),
  planned_state: Dynamic.nullish(),
  raw_state: z.object({ json: z.instanceof(Uint8Array) }).nullish(),
});
type Request = z.infer<typeof Request>;

function read(value: z.infer<typeof Dynamic> | null | undefined): Fields | undefined {
  if (!value) return undefined;
  const decoded = decode(value.msgpack, { extensionCodec: codec });
  return decoded === null ? undefined : Fields.parse(decoded);
}

function write(value: Fields | null) {
  return { msgpack: Buffer.from(encode(value, { extensionCodec: codec })) };
}

/** The block as the protocol has it; what stands inside of a block is never filled in by the provider. */
function blockOf({ attributes, blocks }: Block, isInside = false): object {
  return {
    attributes: Object.entries(attributes)
      .filter(([, { is }]) => !isInside || is !== "computed")
      .map(([name, { type, is }]) => ({
        name,
        type: Buffer.from(JSON.stringify(type)),
        required: is === "required",
        optional: is === "optional",
        computed: !isInside && is !== "required",
      })),
    block_types: Object.entries(blocks).map(([type_name, { block, min, max }]) => ({
      type_name,
      block: blockOf(block, true),
      nesting: 2,
      min_items: min,
      max_items: max ?? 0,
    })),
  };
}

function madeUp(type: Type, name: string): unknown {
  if (type === "string") return name;
  if (type === "number") return 0;
  if (type === "bool") return false;
  return type[0] === "list" ? [] : {};
}

/** What data sources answer: a region of three availability domains. */
const answers: Readonly<Record<string, Fields>> = {
  oci_identity_availability_domains: {
    id: "domains",
    availability_domains: [1, 2, 3].map((n) => ({
      compartment_id: "tenancy",
      id: `ad-${n}`,
      name: `Xyza:IAD-AD-${n}`,
    })),
  },
  oci_objectstorage_namespace: { id: "namespace", namespace: "examplenamespace" },
  oci_core_services: {
    id: "services",
    services: [
      {
        id: "ocid1.service.oc1.iad.all",
        name: "All IAD Services In Oracle Services Network",
        cidr_block: "all-iad-services-in-oracle-services-network",
        description: "",
      },
    ],
  },
};

const providerBlock: Block = { attributes: { region: { type: "string", is: "optional" } }, blocks: {} };

/**
 * Takes the place of the provider `oracle/oci` before a real Terraform: it has its schema, as far as oci.schema.json knows
 * it, and no cloud. What it is asked to make it calls made.
 */
export class StandInProvider {
  readonly #schema: ProviderSchema;
  readonly #server = new Server();
  #port = 0;
  #made = 0;

  constructor() {
    const file = join(import.meta.dirname, "oci.schema.json");
    // Written by derive.ts, from these very types.
    this.#schema = JSON.parse(readFileSync(file, "utf8")) as ProviderSchema;
    const options = { keepCase: true, defaults: false, longs: Number, bytes: Buffer } as const;
    const definition = loadSync(join(import.meta.dirname, "provider.proto"), options);
    // The file has that service, or `loadPackageDefinition` has no such name and this throws.
    const { Provider } = loadPackageDefinition(definition).tfplugin6 as unknown as Record<
      string,
      { service: ServiceDefinition }
    >;
    if (!Provider) throw new Error("provider.proto has no service Provider");
    const calls: Record<string, (request: Request) => object> = {
      GetProviderSchema: () => this.#schemas(),
      ValidateProviderConfig: () => ({}),
      ValidateResourceConfig: () => ({}),
      ValidateDataResourceConfig: () => ({}),
      ConfigureProvider: () => ({}),
      StopProvider: () => ({}),
      UpgradeResourceState: ({ raw_state }) => ({
        upgraded_state: write(Fields.parse(JSON.parse(Buffer.from(raw_state?.json ?? []).toString()))),
      }),
      ReadResource: ({ current_state }) => ({ new_state: write(read(current_state) ?? null) }),
      PlanResourceChange: (request) => this.#plan(request),
      ApplyResourceChange: (request) => this.#apply(request),
      ReadDataSource: ({ type_name, config }) => ({ state: write({ ...read(config), ...answers[type_name] }) }),
    };
    const handlers = Object.entries(calls).map(([name, call]) => {
      const handle = (asked: ServerUnaryCall<unknown, object>, reply: sendUnaryData<object>) => {
        try {
          reply(null, call(Request.parse(asked.request)));
        } catch (error) {
          reply({ code: status.INTERNAL, details: String(error) });
        }
      };
      return [name, handle] as const;
    });
    this.#server.addService(Provider.service, Object.fromEntries(handlers));
  }

  /** Starts it on a free port of this machine. */
  async start(): Promise<void> {
    this.#port = await new Promise((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  /** What Terraform is told by `TF_REATTACH_PROVIDERS`. */
  get reattach(): string {
    return JSON.stringify({
      "registry.terraform.io/oracle/oci": {
        Protocol: "grpc",
        ProtocolVersion: 6,
        Pid: process.pid,
        Test: true,
        Addr: { Network: "tcp", String: `127.0.0.1:${this.#port}` },
      },
    });
  }

  #schemas(): object {
    const all = (blocks: Record<string, Block>) =>
      Object.fromEntries(Object.entries(blocks).map(([type, block]) => [type, { version: 0, block: blockOf(block) }]));
    return {
      provider: { version: 0, block: blockOf(providerBlock) },
      resource_schemas: all(this.#schema.resources),
      data_source_schemas: all(this.#schema.data),
    };
  }

  #attributesOf(type: string): [string, Attribute][] {
    return Object.entries(this.#schema.resources[type]?.attributes ?? {});
  }

  #plan({ type_name, prior_state, proposed_new_state }: Request): object {
    const proposed = read(proposed_new_state);
    if (!proposed || read(prior_state)) return { planned_state: write(proposed ?? null) };
    for (const [name, { is }] of this.#attributesOf(type_name)) {
      if (is !== "required") proposed[name] ??= unknown;
    }
    return { planned_state: write(proposed) };
  }

  #apply({ type_name, planned_state }: Request): object {
    const planned = read(planned_state);
    if (!planned) return { new_state: write(null) };
    this.#made += 1;
    for (const [name, { type }] of this.#attributesOf(type_name)) {
      const text = name === "id" ? `ocid1.${type_name.slice(4)}.oc1..${this.#made}` : `${name}-${this.#made}`;
      if (isUnknown(planned[name])) planned[name] = madeUp(type, text);
    }
    return { new_state: write(planned) };
  }
}
