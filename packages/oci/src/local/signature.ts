import { createPublicKey, type KeyObject, verify } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { notAuthenticated } from "./wire.ts";

/** How far the date of a request may be from ours. */
const maxSkewMs = 5 * 60_000;

const alwaysSigned = ["(request-target)", "host"];
const signedWithBody = ["content-length", "content-type", "x-content-sha256"];

/** Public keys by `<tenancy>/<user>/<fingerprint>`. */
export type KeyRing = ReadonlyMap<string, KeyObject>;

/** A ring of PEM texts. */
export function keyRing(keys: Readonly<Record<string, string>>): KeyRing {
  return new Map(Object.entries(keys).map(([id, pem]) => [id, createPublicKey(pem)]));
}

/**
 * Proves that the holder of a registered key sent this request, now: draft-cavage HTTP signatures as OCI takes them.
 * With a body that must be signed, the signature covers its hash, and whoever reads the body compares that.
 * Throws the refusal 401.
 */
export function authenticate(request: IncomingMessage, keys: KeyRing, bodyIsSigned: boolean, now: number): void {
  const given = parametersOf(request.headers.authorization);
  const key = keys.get(given.keyId ?? "");
  const signed = (given.headers ?? "").toLowerCase().split(" ");
  const dated = signed.find((name) => name === "date" || name === "x-date");
  const required = [...alwaysSigned, ...(bodyIsSigned ? signedWithBody : [])];
  const isComplete = dated !== undefined && required.every((name) => signed.includes(name));
  if (!key || !isComplete || given.algorithm !== "rsa-sha256" || (given.version ?? "1") !== "1") {
    throw notAuthenticated();
  }
  const skewMs = Math.abs(Date.parse(headerOf(request, dated) ?? "") - now);
  if (!(skewMs <= maxSkewMs)) throw notAuthenticated();
  const lines = signed.map(
    (name) => `${name}: ${name === "(request-target)" ? target(request) : signedValue(request, name)}`,
  );
  const signature = Buffer.from(given.signature ?? "", "base64");
  if (!verify("RSA-SHA256", Buffer.from(lines.join("\n")), key, signature)) throw notAuthenticated();
}

/** Path and query exactly as they came: decoding them first would verify something else. */
function target(request: IncomingMessage): string {
  return `${(request.method ?? "").toLowerCase()} ${request.url}`;
}

function signedValue(request: IncomingMessage, name: string): string {
  const value = headerOf(request, name);
  if (value === undefined) throw notAuthenticated();
  return value;
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

function parametersOf(authorization: string | undefined): Partial<Record<string, string>> {
  const [, list] = /^Signature (.+)$/i.exec(authorization ?? "") ?? [];
  const pairs = [...(list ?? "").matchAll(/([a-zA-Z]+)="([^"]*)"/g)];
  return Object.fromEntries(pairs.map(([, name = "", value = ""]) => [name, value]));
}
