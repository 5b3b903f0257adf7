import { readFileSync } from "node:fs";
import { delimiter, resolve } from "node:path";
import { AgentType, Price, RecoveryTable, Tenant } from "@flotilla/workflow";
import { z } from "zod";

const dayMs = 86_400_000;
const longestTimerMs = 2_147_483_647;

function integer(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return z.string().regex(/^\d+$/, message).transform(Number).pipe(z.int(message).min(min, message).max(max, message));
}

const port = integer(0, 65_535);

const flag = z.enum(["1", "true", "0", "false"], "must be 1 or 0").transform((text) => text === "1" || text === "true");

const path = z.string().transform((text) => resolve(text));

const httpUrl = z.url({ protocol: /^https?$/, error: "must be an http or https address" });

/** Sentinels as `host:port`, separated by commas; the usual port where none is said. */
const sentinelNodes = z.string().transform((text, context) => {
  const nodes: { host: string; port: number }[] = [];
  for (const part of text.split(",")) {
    const [, host, port = "26379"] = /^(\[[0-9a-f:]+\]|[^\s:[\]/@]+)(?::(\d{1,5}))?$/i.exec(part.trim()) ?? [];
    if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
      context.addIssue({ code: "custom", message: "must be host:port, or several separated by commas" });
      return z.NEVER;
    }
    nodes.push({ host: host.replace(/^\[|\]$/g, ""), port: Number(port) });
  }
  return nodes;
});

/** `name=value` pairs separated by commas, percent-encoded, as OpenTelemetry has them. */
const pairs = z.string().transform((text, context) => {
  const found: Record<string, string> = {};
  for (const part of text.split(",").filter((one) => one.trim() !== "")) {
    const [, name, value] = /^\s*([^=\s]+)\s*=(.*)$/.exec(part) ?? [];
    const decoded = decodedOf(value?.trim());
    if (name === undefined || decoded === undefined) {
      context.addIssue({ code: "custom", message: "must be name=value, or several separated by commas" });
      return z.NEVER;
    }
    found[name] = decoded;
  }
  return found;
});

function decodedOf(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The text of the file that the variable names, so that a missing file is found at start. */
const pemFile = z.string().transform((file, context) => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    context.addIssue({ code: "custom", message: "must name a file that this process can read" });
    return z.NEVER;
  }
});

/** Recovery tables by agent type, as JSON. */
const recovery = z.string().transform((text, context) => {
  const parsed = AgentTables.safeParse(parsedJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.length ? ` at ${issue.path.join(".")}` : "";
  context.addIssue({ code: "custom", message: `must be JSON of agent types, failure classes and strategies${place}` });
  return z.NEVER;
});

/** Of OCI Generative AI. */
const knownPrices: Readonly<Record<string, Price>> = {
  "cohere.command-light": { input: 0.4, output: 0.4 },
  "cohere.command-r": { input: 1, output: 1 },
  "cohere.command-r-plus": { input: 3, output: 3 },
};

const prices = z.string().transform((text, context): Readonly<Record<string, Price>> => {
  const parsed = PriceTable.safeParse(parsedJson(text));
  if (parsed.success) return { ...knownPrices, ...parsed.data };
  context.addIssue({ code: "custom", message: 'must be JSON such as {"<model>": {"input": 0.4, "output": 1.6}}' });
  return z.NEVER;
});

const PriceTable = z.record(z.string(), Price);

const AgentTables = z.record(z.union([AgentType, z.literal("*")]), RecoveryTable);

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A stream: the OCID of one of Oracle Cloud, or the name of one in the data folder. */
export const StreamId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/, "must be an OCID, or a name of A-Z a-z 0-9 . _ -");

/** Streams and whose workflows their messages become, as `tenant=stream`, separated by commas. */
const intake = z.string().transform((text, context) => {
  const intakes: { tenant: string; streamId: string }[] = [];
  for (const part of text.split(",")) {
    const [tenant, streamId, ...rest] = part.trim().split("=");
    const isFine = Tenant.safeParse(tenant).success && StreamId.safeParse(streamId).success && rest.length === 0;
    if (!isFine || intakes.some((other) => other.streamId === streamId)) {
      context.addIssue({ code: "custom", message: "must be tenant=stream, or several separated by commas, each once" });
      return z.NEVER;
    }
    intakes.push({ tenant: tenant ?? "", streamId: streamId ?? "" });
  }
  return intakes;
});

/** What every process reads. */
export const processEnvironment = z.object({
  NODE_ENV: z
    .string()
    .default("development")
    .describe("`production` refuses what is only for trying out: the probe agent and the in-memory Redis"),
  LOG_LEVEL: z
    .enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
      error: "must be one of trace, debug, info, warn, error, fatal, silent",
    })
    .default("info")
    .describe("least severe log line that is written to stderr"),
  HOST: z.string().default("127.0.0.1").describe("address that the listeners bind; `0.0.0.0` in a container"),
  METRICS_PORT: port
    .default(9090)
    .describe("port of `/metrics`, and of `/health` and `/ready` but on the API; 0 picks one"),
});

/** Where traces go: variables of OpenTelemetry, with its meanings. `tracingSettings` makes one description of them. */
export const tracingEnvironment = z.object({
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl
    .exactOptional()
    .describe("base address of what takes traces by OTLP, `/v1/traces` below it; nothing is traced unless set"),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: httpUrl.exactOptional().describe("whole address instead of that"),
  OTEL_EXPORTER_OTLP_PROTOCOL: z
    .enum(["http/protobuf", "http/json"], "must be one of http/protobuf, http/json")
    .default("http/protobuf")
    .describe("how it is spoken to"),
  OTEL_EXPORTER_OTLP_HEADERS: pairs
    .prefault("")
    .describe("headers sent to it, as `name=value` separated by commas; a place for its key"),
  OTEL_EXPORTER_OTLP_TIMEOUT: integer(1, 600_000).default(10_000).describe("how long one export may take, in ms"),
  OTEL_SDK_DISABLED: flag.default(false).describe("whether nothing is traced, whatever else is set"),
  OTEL_TRACES_EXPORTER: z
    .enum(["otlp", "none"], "must be one of otlp, none")
    .default("otlp")
    .describe("`none` traces nothing"),
  OTEL_TRACES_SAMPLER: z
    .enum(
      [
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
      ],
      {
        error:
          "must be one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio",
      },
    )
    .default("parentbased_always_on")
    .describe("which traces are kept; the processes of a fleet agree with the `parentbased` ones"),
  OTEL_TRACES_SAMPLER_ARG: z
    .string()
    .regex(/^(0(\.\d+)?|1(\.0+)?)$/, "must be a number from 0 to 1")
    .transform(Number)
    .prefault("1")
    .describe("share of traces that the samplers with a ratio keep"),
  OTEL_BSP_SCHEDULE_DELAY: integer(1, 600_000).default(5000).describe("how long spans wait to be sent together, in ms"),
  OTEL_BSP_MAX_QUEUE_SIZE: integer(1, 1_000_000)
    .default(2048)
    .describe("most spans that wait; what is more while nobody takes them is lost"),
  OTEL_SERVICE_NAME: z.string().exactOptional().describe("name of the process in traces; `flotilla-<role>` unless set"),
  OTEL_RESOURCE_ATTRIBUTES: pairs.prefault("").describe("what else traces say of the process, as `name=value` pairs"),
  OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: flag
    .default(false)
    .describe("whether prompts, answers, arguments and results stand in traces; they may be anything"),
});

/** Where Redis is. `redisSettings` makes one description of it. */
export const redisEnvironment = z.object({
  REDIS_URL: z
    .url({ protocol: /^rediss?$/, error: "must be a redis:// or rediss:// address" })
    .exactOptional()
    .describe(
      "`redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS; instead of the variables below",
    ),
  REDIS_HOST: z
    .string()
    .exactOptional()
    .describe("host of Redis, or of one node of a cluster; 127.0.0.1 where none is named"),
  REDIS_PORT: integer(1, 65_535)
    .default(6379)
    .describe("port of Redis; a Service named `redis` sets it to an address unless `enableServiceLinks` is false"),
  REDIS_USERNAME: z.string().exactOptional().describe("ACL user"),
  REDIS_PASSWORD: z.string().exactOptional().describe("password, of the ACL user if one is named"),
  REDIS_TLS: flag.default(false).describe("whether to speak TLS; on as well where one of the files below is given"),
  REDIS_TLS_CA: pemFile.exactOptional().describe("PEM file of the authorities to trust instead of the system's"),
  REDIS_TLS_CERT: pemFile.exactOptional().describe("PEM file of the client certificate"),
  REDIS_TLS_KEY: pemFile.exactOptional().describe("PEM file of the client certificate's key"),
  REDIS_CLUSTER: flag.default(false).describe("whether the address is a node of a Redis Cluster"),
  REDIS_SENTINELS: sentinelNodes
    .exactOptional()
    .describe("sentinels that know the master, `host:port` separated by commas; instead of an address"),
  REDIS_SENTINEL_MASTER: z.string().exactOptional().describe("name by which the sentinels know the master"),
  REDIS_SENTINEL_PASSWORD: z.string().exactOptional().describe("password of the sentinels, if they want one"),
  REDIS_DURABILITY: z
    .enum(["fast", "standard", "strict", "archive"], { error: "must be one of fast, standard, strict, archive" })
    .default("fast")
    .describe("what an acknowledged write survives: see [durability](durability.md)"),
  REDIS_STRICT_REPLICAS: integer(1, 5)
    .default(1)
    .describe("replicas that must have a write before it is acknowledged at `strict`"),
});

/** Secrets from which those of tenants are derived, separated by commas. */
const callbackSecrets = z.string().transform((text, context) => {
  const secrets = text.split(",").map((part) => part.trim());
  if (secrets.every((secret) => secret.length >= 32)) return secrets;
  context.addIssue({
    code: "custom",
    message: "must be at least 32 characters, or several of those separated by commas",
  });
  return z.NEVER;
});

/** Hosts as `host` or `host:port`, separated by commas. */
const trustedHosts = z.string().transform((text, context) => {
  const hosts: { host: string; port?: number }[] = [];
  for (const part of text.split(",")) {
    const [, host, port] = /^(\[[0-9a-f:]+\]|[^\s:[\]/@]+)(?::(\d{1,5}))?$/i.exec(part.trim()) ?? [];
    if (host === undefined || Number(port ?? 1) < 1 || Number(port ?? 1) > 65_535) {
      context.addIssue({ code: "custom", message: "must be host or host:port, or several separated by commas" });
      return z.NEVER;
    }
    const name = host.replace(/^\[|\]$/g, "").toLowerCase();
    hosts.push(port === undefined ? { host: name } : { host: name, port: Number(port) });
  }
  return hosts;
});

/** What the API and the supervisor read of callbacks. */
export const callbackEnvironment = z.object({
  FLOTILLA_CALLBACK_SECRET: callbackSecrets
    .default([])
    .describe("secret of the fleet from which tenants have those that sign callbacks; none are accepted unless set"),
  FLOTILLA_CALLBACK_HOSTS: trustedHosts
    .default([])
    .describe("hosts that callbacks may reach by http and at private addresses, `host` or `host:port` by commas"),
});

/** What the API reads. */
export const apiEnvironment = z.object({
  PORT: port.default(8080).describe("port of the HTTP API; 0 picks one"),
  FLOTILLA_RATE_LIMIT: integer(1, 10_000_000)
    .exactOptional()
    .describe("requests a minute that one tenant may make; no limit unless set"),
  FLOTILLA_IDEMPOTENCY_MS: integer(1, longestTimerMs)
    .default(dayMs)
    .describe("how long an `Idempotency-Key` is remembered, in ms"),
  FLOTILLA_INTAKE: intake
    .default([])
    .describe("streams whose messages become workflows, as `tenant=stream` separated by commas; none unless set"),
});

/** What the supervisor reads. */
export const supervisorEnvironment = z.object({
  MAX_ACTIVE_WORKFLOWS: integer(1, 1_000_000)
    .default(1000)
    .describe("workflows that run at once in the whole fleet; others wait in the queue"),
  MAX_CONCURRENT_AGENTS: integer(1, 2000)
    .default(1000)
    .describe("tasks of one workflow that run at once, where the workflow does not say"),
  HANDOFF_TIMEOUT_MS: integer(1, 2_147_483_647)
    .default(300_000)
    .describe("how long one try of what an agent hands over may take, in ms"),
  MAX_RETRIES: integer(0, 99).default(2).describe("tries of a task after the first, where the task does not say"),
  FLOTILLA_RECOVERY: recovery
    .exactOptional()
    .describe("what is done about failures by agent type (`*` for all) and class, where the task does not say"),
  FLOTILLA_RETENTION_MS: integer(1, longestTimerMs)
    .default(dayMs)
    .describe("how long an ended workflow is kept in Redis, in ms"),
  CHECKPOINT_INTERVAL_MS: integer(100, longestTimerMs)
    .default(30_000)
    .describe("longest time between two checkpoints of a workflow in which something happens, in ms"),
  FLOTILLA_ARCHIVE_RETENTION_MS: integer(1, longestTimerMs)
    .default(7 * dayMs)
    .describe("how long an ended workflow is kept in the archive, in ms"),
  FLOTILLA_CALLBACK_RETRY_MS: integer(0, longestTimerMs)
    .default(dayMs)
    .describe("how long a callback that cannot be told is tried again, in ms"),
});

/** What an agent worker reads. */
export const agentEnvironment = z.object({
  AGENT_TYPE: AgentType.describe("agent type that this worker runs; names its queue"),
  AGENT_CONCURRENCY: integer(1, 1000).default(10).describe("tasks that one worker process runs at once"),
  FLOTILLA_CIRCUIT_OPEN_MS: integer(0, 60_000)
    .default(5000)
    .describe("how long a circuit is open the first time, in ms; 0 for no circuits"),
  POD_NAME: z
    .string()
    .exactOptional()
    .describe("pod that this worker runs in; where set, it tells Kubernetes what deleting the pod would cost"),
  FLOTILLA_AGENTS_DIR: path.exactOptional().describe("folder of further agent modules, one file each"),
  FLOTILLA_DOCS_ROOTS: z
    .string()
    .transform((text) =>
      text
        .split(delimiter)
        .filter(Boolean)
        .map((root) => resolve(root)),
    )
    .default([])
    .describe("folders below which agents may read documents, separated as in `PATH`; none unless set"),
  FLOTILLA_LOOP_LIMIT: integer(1, 10_000)
    .default(8)
    .describe("how often a task may call one tool with the same arguments, or hand over the same work"),
});

/** What the metrics adapter reads. */
export const adapterEnvironment = z.object({
  ADAPTER_PORT: port.default(6443).describe("port of the API `external.metrics.k8s.io`; 0 picks one"),
  ADAPTER_TLS_CERT: path.describe("PEM file of the certificate that the adapter shows; read anew each minute"),
  ADAPTER_TLS_KEY: path.describe("PEM file of that certificate's key"),
});

/** Switches of the probe agent, which exists for tests. */
export const probeEnvironment = z.object({
  FLOTILLA_PROBE: flag.default(false).describe("whether the agent type `probe` exists; refused in production"),
  FLOTILLA_PROBE_EFFECTS: path
    .exactOptional()
    .describe("file to which the probe appends its effects, one JSON line each"),
});

/** Which model the agents ask. */
export const modelEnvironment = z.object({
  OPENAI_BASE_URL: httpUrl
    .exactOptional()
    .describe("OpenAI-compatible endpoint, with its `/v1`; the embedded extractive model answers unless set"),
  OPENAI_API_KEY: z.string().exactOptional().describe("key for that endpoint"),
  FLOTILLA_MODEL_REQUESTS_PER_MINUTE: integer(1, 1_000_000)
    .exactOptional()
    .describe("calls of that endpoint a minute, of the whole fleet; no limit unless set"),
  FLOTILLA_MODEL_TOKENS_PER_MINUTE: integer(1, 1_000_000_000)
    .exactOptional()
    .describe("tokens of that endpoint a minute, in and out, of the whole fleet; no limit unless set"),
  OPENAI_MODEL: z.string().default("gpt-4.1-mini").describe("model to ask for at that endpoint"),
  MODEL_PRICES: prices
    .prefault("{}")
    .describe('prices by model, in US dollars per million tokens: `{"<model>": {"input": 0.4, "output": 1.6}}`'),
  MODEL_MAX_OUTPUT_TOKENS: integer(1, 1_000_000)
    .default(4096)
    .describe("most tokens of one answer of a model in a workflow with a `budget`"),
});

/** Where a process keeps files. */
export const storageEnvironment = z.object({
  FLOTILLA_DATA_DIR: path
    .prefault(".flotilla")
    .describe(
      "folder of blobs, of the document index and of a local fleet's Redis; shared by all processes of a fleet",
    ),
});

/** How to reach Oracle Cloud. `ociSettings` makes one description of it. */
export const ociEnvironment = z.object({
  OCI_AUTH: z
    .enum(["config_file", "api_key", "instance_principal", "resource_principal", "oke_workload_identity", "local"], {
      error:
        "must be one of config_file, api_key, instance_principal, resource_principal, oke_workload_identity, local",
    })
    .exactOptional()
    .describe("whose credentials are used for Oracle Cloud; nothing is kept there unless set"),
  OCI_CONFIG_FILE: path
    .exactOptional()
    .describe("file of the kind that the OCI CLI has, for `config_file` and `local`; `~/.oci/config` unless set"),
  OCI_CONFIG_PROFILE: z.string().default("DEFAULT").describe("section of that file"),
  OCI_TENANCY_ID: z.string().exactOptional().describe("OCID of the tenancy, for `api_key`"),
  OCI_USER_ID: z.string().exactOptional().describe("OCID of the user, for `api_key`"),
  OCI_KEY_FINGERPRINT: z.string().exactOptional().describe("fingerprint of the key, for `api_key`"),
  OCI_KEY_FILE: pemFile.exactOptional().describe("PEM file of the private key, for `api_key`"),
  OCI_KEY_PASSPHRASE: z.string().exactOptional().describe("passphrase of that key, if it has one"),
  OCI_RESOURCE_PRINCIPAL_VERSION: z
    .enum(["2.2"], "must be one of 2.2")
    .exactOptional()
    .describe("version of the resource principal, which its runtime sets, as the three below"),
  OCI_RESOURCE_PRINCIPAL_RPST: z.string().exactOptional().describe("token of the resource principal, or its file"),
  OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM: z.string().exactOptional().describe("key of the resource principal, or its file"),
  OCI_RESOURCE_PRINCIPAL_REGION: z.string().exactOptional().describe("region of the resource principal"),
  OCI_REGION: z.string().exactOptional().describe("region, as `us-ashburn-1`; that of the credentials unless set"),
  OCI_NAMESPACE: z.string().exactOptional().describe("namespace of Object Storage; asked for at start unless set"),
  OCI_COMPARTMENT_ID: z.string().exactOptional().describe("OCID of the compartment in which a missing bucket is made"),
  OCI_CHECKPOINT_BUCKET: z.string().default("agent-checkpoints").describe("bucket of blobs, checkpoints and archives"),
  OCI_STREAM_ID: StreamId.exactOptional().describe(
    "OCID of the stream to which supervisors export every event; without `OCI_AUTH` a name in the data folder",
  ),
  OCI_OBJECT_STORAGE_ENDPOINT: httpUrl
    .exactOptional()
    .describe("address of Object Storage instead of that of the region"),
  OCI_STREAMING_ENDPOINT: httpUrl.exactOptional().describe("address of Streaming instead of that of the region"),
  OCI_METRICS_NAMESPACE: z
    .string()
    .regex(/^(?!oci_|oracle_)[A-Za-z][A-Za-z0-9_]{0,255}$/, "must be A-Z a-z 0-9 _, and not begin with oci_ or oracle_")
    .exactOptional()
    .describe(
      "namespace of Monitoring to which supervisors post what the fleet counts, as `multi_agent`; nothing unless set",
    ),
  OCI_METRICS_FLEET: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "must be A-Z a-z 0-9 . _ -")
    .default("flotilla")
    .describe("dimension `fleet` of what is posted, where several fleets share a compartment"),
  OCI_MONITORING_ENDPOINT: httpUrl
    .exactOptional()
    .describe("address of Monitoring's ingestion instead of that of the region"),
  AUDIT_LOG_OCID: z
    .string()
    .regex(/^ocid1\.log\.[A-Za-z0-9._-]{1,240}$/, "must be the OCID of a log")
    .exactOptional()
    .describe("OCID of the log to which supervisors write what somebody may have to answer for; nothing unless set"),
  OCI_LOGGING_ENDPOINT: httpUrl
    .exactOptional()
    .describe("address of Logging's ingestion instead of that of the region"),
});

/** How the local fleet finds its Redis. */
export const localEnvironment = z.object({
  FLOTILLA_FETCH: flag.default(true).describe("whether a missing `redis-server` may be fetched from the distribution"),
});

/** How a client finds the fleet. */
export const clientEnvironment = z.object({
  FLOTILLA_URL: httpUrl
    .exactOptional()
    .describe("address of the API; the fleet that is up on the data folder unless set"),
  FLOTILLA_API_KEY: z.string().exactOptional().describe("API key; the one of that local fleet unless set"),
});
