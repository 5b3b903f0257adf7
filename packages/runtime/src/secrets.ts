/** Where something secret stood. */
const censor = "[redacted]";

/** Values shorter than this are words that stand anywhere. */
const leastLength = 6;

/** Variables whose values are secret. */
const secretVariables = [
  "FLOTILLA_API_KEY",
  "FLOTILLA_CALLBACK_SECRET",
  "OCI_KEY_FILE",
  "OCI_KEY_PASSPHRASE",
  "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM",
  "OCI_RESOURCE_PRINCIPAL_RPST",
  "OPENAI_API_KEY",
  "OTEL_EXPORTER_OTLP_HEADERS",
  "REDIS_PASSWORD",
  "REDIS_SENTINEL_PASSWORD",
  "REDIS_TLS_KEY",
] as const;

/** Addresses that may have a password in them. */
const addressVariables = ["OPENAI_BASE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT", "REDIS_URL"] as const;

/** Credentials inside a URL, after `Bearer` or `Basic`, those that sign callbacks, and in the private form of a key, wherever they stand: error texts carry them too. */
const secretText =
  /(?<=:\/\/)[^\s"/@]*:[^\s"/@]*(?=@)|(?<=\b(?:Bearer|Basic) )[^\s"\\,;]+|\bwhsec_[A-Za-z0-9+/=]+|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/gs;

/** Fields of JSON that are secret by their names, at any depth. */
const secretField =
  /("[\w.-]*(?:authorization|api[-_]?key|operatorkey|passphrase|passwd|password|secret|token|cookie)"\s*:\s*)"(?:[^"\\]|\\.)*"/gi;

/** Takes secrets out of a text. */
export type Redact = (text: string) => string;

/**
 * Takes out of a text the secrets that the process was configured with, word for word, whoever quotes them: a service
 * may well repeat the key that it refuses. Beside them whatever looks like a credential.
 */
export function createRedact(config: Readonly<Record<string, unknown>>): Redact {
  const values = [...new Set(secretValues(config))].toSorted((a, b) => b.length - a.length);
  return (text) => {
    let clean = text.replaceAll(secretText, censor).replaceAll(secretField, `$1"${censor}"`);
    for (const value of values) clean = clean.replaceAll(value, censor);
    return clean;
  };
}

function secretValues(config: Readonly<Record<string, unknown>>): string[] {
  const texts = [
    ...secretVariables.flatMap((name) => textsOf(config[name])),
    ...addressVariables.flatMap((name) => passwordOf(config[name])),
  ];
  // As it stands, as a URL has it, and as a string in JSON.
  const forms = texts.flatMap((text) => [text, encodeURIComponent(text), JSON.stringify(text).slice(1, -1)]);
  return forms.filter((text) => text.length >= leastLength);
}

function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value.trim()];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

function passwordOf(address: unknown): string[] {
  if (typeof address !== "string" || !URL.canParse(address)) return [];
  const { password } = new URL(address);
  return [password, decodeURIComponent(password)];
}
