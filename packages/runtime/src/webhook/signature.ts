import { createHmac } from "node:crypto";

const prefix = "whsec_";

/**
 * The secret by which a tenant knows that a callback is from this fleet, in the form of Standard Webhooks. It is derived:
 * no tenant can sign for another, and none of them is stored.
 */
export function tenantSecret(fleetSecret: string, tenant: string): string {
  return prefix + createHmac("sha256", fleetSecret).update(`flotilla callbacks of ${tenant}`).digest("base64");
}

/** A message as it is signed: what it is called, when it was sent in seconds since the epoch, and its very bytes. */
export interface SignedMessage {
  id: string;
  timestamp: number;
  body: string;
}

/** The value of `webhook-signature` (Standard Webhooks, version 1): one signature for each secret, blank separated. */
export function signatureOf({ id, timestamp, body }: SignedMessage, secrets: readonly string[]): string {
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice(prefix.length), "base64");
      return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
    })
    .join(" ");
}
