import { z } from "zod";

/** Exit code of a process whose configuration is refused (`EX_CONFIG` of sysexits.h). */
export const badConfigurationExitCode = 78;

/** The configuration is refused; the message is a list to print as it stands, one variable a line. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ variable, problem, advice }) => `  ${variable} ${problem} (${advice})`);
    super(["bad configuration:", ...lines].join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** One variable that is wrong: what is wrong with it, and what to do. Values are never repeated, for they may be secrets. */
export interface ConfigProblem {
  variable: string;
  problem: string;
  advice: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What the variables say, parsed by an object schema whose keys are their names: a frozen object.
 * A variable set to the empty string counts as unset. Throws `ConfigError` naming every problem at once.
 */
export function parseConfig<S extends z.ZodObject>(schema: S, environment: Environment): Readonly<z.output<S>> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value));
  const parsed = schema.safeParse(given);
  const problems = [
    ...conflicts(schema, given),
    ...(parsed.error?.issues ?? []).map((issue) => problem(schema, issue)),
  ];
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(parsed.data);
}

/** For `main.ts`: the parsed configuration, or the list of problems on stderr and exit 78. */
export function configOrExit<S extends z.ZodObject>(schema: S, environment: Environment): Readonly<z.output<S>> {
  try {
    return parseConfig(schema, environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(badConfigurationExitCode);
  }
}

interface Conflict extends ConfigProblem {
  holds(given: Environment): boolean;
}

/** Rules that span variables stand here and not as refinements: composing object schemas would drop those. */
const conflictRules: readonly Conflict[] = [
  {
    variable: "REDIS_HOST",
    problem: "is set beside REDIS_URL",
    advice: "set one of them",
    holds: (given) => given.REDIS_URL !== undefined && given.REDIS_HOST !== undefined,
  },
  {
    variable: "REDIS_SENTINELS",
    problem: "is set beside REDIS_URL, REDIS_HOST or REDIS_CLUSTER",
    advice: "set one of them: sentinels tell the address, and a cluster has none",
    holds: (given) =>
      given.REDIS_SENTINELS !== undefined &&
      (given.REDIS_URL !== undefined || given.REDIS_HOST !== undefined || isOn(given.REDIS_CLUSTER)),
  },
  {
    variable: "REDIS_SENTINELS",
    problem: "and REDIS_SENTINEL_MASTER go together",
    advice: "set both or neither",
    holds: (given) => (given.REDIS_SENTINELS === undefined) !== (given.REDIS_SENTINEL_MASTER === undefined),
  },
  {
    variable: "REDIS_TLS_CERT",
    problem: "and REDIS_TLS_KEY go together",
    advice: "set both or neither",
    holds: (given) => (given.REDIS_TLS_CERT === undefined) !== (given.REDIS_TLS_KEY === undefined),
  },
  {
    variable: "OCI_AUTH",
    problem: "is local in production",
    advice: "name credentials of a tenancy: the local server is for trying out",
    holds: (given) => given.NODE_ENV === "production" && given.OCI_AUTH === "local",
  },
  {
    variable: "OCI_CONFIG_FILE",
    problem: "and the endpoints are not set, and OCI_AUTH is local",
    advice: "set OCI_CONFIG_FILE, OCI_OBJECT_STORAGE_ENDPOINT and OCI_STREAMING_ENDPOINT, or run `flotilla up`",
    holds: (given) =>
      given.OCI_AUTH === "local" &&
      (given.OCI_CONFIG_FILE === undefined ||
        given.OCI_OBJECT_STORAGE_ENDPOINT === undefined ||
        given.OCI_STREAMING_ENDPOINT === undefined),
  },
  {
    variable: "FLOTILLA_INTAKE",
    problem: "names the stream of OCI_STREAM_ID",
    advice: "take messages from another stream than the one that events are exported to",
    holds: (given) =>
      given.FLOTILLA_INTAKE?.split(",").some((part) => part.split("=")[1]?.trim() === given.OCI_STREAM_ID) === true,
  },
  {
    variable: "OCI_METRICS_NAMESPACE",
    problem: "is set without OCI_AUTH or OCI_COMPARTMENT_ID",
    advice: "say who calls Oracle Cloud, and in which compartment measurements are kept",
    holds: (given) =>
      given.OCI_METRICS_NAMESPACE !== undefined &&
      (given.OCI_AUTH === undefined || given.OCI_COMPARTMENT_ID === undefined),
  },
  {
    variable: "AUDIT_LOG_OCID",
    problem: "is set without OCI_AUTH",
    advice: "say who calls Oracle Cloud",
    holds: (given) => given.AUDIT_LOG_OCID !== undefined && given.OCI_AUTH === undefined,
  },
  {
    variable: "OCI_MONITORING_ENDPOINT",
    problem: "is not set, and OCI_AUTH is local",
    advice: "set it, or run `flotilla up`: the local server has no region",
    holds: (given) =>
      given.OCI_AUTH === "local" &&
      given.OCI_METRICS_NAMESPACE !== undefined &&
      given.OCI_MONITORING_ENDPOINT === undefined,
  },
  {
    variable: "OCI_LOGGING_ENDPOINT",
    problem: "is not set, and OCI_AUTH is local",
    advice: "set it, or run `flotilla up`: the local server has no region",
    holds: (given) =>
      given.OCI_AUTH === "local" && given.AUDIT_LOG_OCID !== undefined && given.OCI_LOGGING_ENDPOINT === undefined,
  },
  {
    variable: "OCI_KEY_FILE",
    problem: "and its kin are not all set, and OCI_AUTH is api_key",
    advice: "set OCI_TENANCY_ID, OCI_USER_ID, OCI_KEY_FINGERPRINT and OCI_KEY_FILE",
    holds: (given) =>
      given.OCI_AUTH === "api_key" &&
      (given.OCI_TENANCY_ID === undefined ||
        given.OCI_USER_ID === undefined ||
        given.OCI_KEY_FINGERPRINT === undefined ||
        given.OCI_KEY_FILE === undefined),
  },
  {
    variable: "OCI_RESOURCE_PRINCIPAL_VERSION",
    problem: "and its kin are not all set, and OCI_AUTH is resource_principal",
    advice: "the runtime of the function or container sets them: outside of one, use another OCI_AUTH",
    holds: (given) =>
      given.OCI_AUTH === "resource_principal" &&
      (given.OCI_RESOURCE_PRINCIPAL_VERSION === undefined ||
        given.OCI_RESOURCE_PRINCIPAL_RPST === undefined ||
        given.OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM === undefined ||
        given.OCI_RESOURCE_PRINCIPAL_REGION === undefined),
  },
  {
    variable: "FLOTILLA_PROBE",
    problem: "is refused in production",
    advice: "unset it: the probe agent kills its own process and writes files on request",
    holds: (given) => given.NODE_ENV === "production" && isOn(given.FLOTILLA_PROBE),
  },
];

function isOn(flag: string | undefined): boolean {
  return flag === "1" || flag === "true";
}

function conflicts(schema: z.ZodObject, given: Environment): ConfigProblem[] {
  return conflictRules
    .filter((rule) => rule.variable in schema.shape && rule.holds(given))
    .map(({ variable, problem, advice }) => ({ variable, problem, advice }));
}

function problem(schema: z.ZodObject, issue: z.core.$ZodIssue): ConfigProblem {
  const variable = String(issue.path[0]);
  const missing = issue.code === "invalid_type" && issue.input === undefined;
  const described = schema.shape[variable];
  return {
    variable,
    problem: missing ? "is not set" : issue.message,
    advice: described === undefined ? "see docs/configuration.md" : advice(described),
  };
}

function advice(variable: z.core.$ZodType): string {
  const meaning = z.globalRegistry.get(variable)?.description ?? "see docs/configuration.md";
  if (variable instanceof z.ZodDefault)
    return `${meaning}; leave it out for ${JSON.stringify(variable.def.defaultValue)}`;
  if (variable instanceof z.ZodOptional || variable instanceof z.ZodExactOptional) return `${meaning}; may be left out`;
  return meaning;
}
