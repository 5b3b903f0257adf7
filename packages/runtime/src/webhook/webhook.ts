import type { Delivery, DeliveryOutcome, NotificationTarget } from "@flotilla/workflow";
import { callbackProblem, isTrusted, type TrustedHost } from "./callback-address.ts";
import { guardedPost, resolveLocal, resolvePublic, type Resolve } from "./guarded-post.ts";
import { signatureOf, tenantSecret } from "./signature.ts";

/** One try, from the first question to the resolver to the status of the answer, in ms. */
const tryMs = 10_000;

/** The receiver wants no more of it (RFC 9110). */
const gone = 410;

export interface WebhookSettings {
  /** Of the fleet; more than one while one takes the place of another. Nothing is sent without any. */
  secrets: readonly string[];
  trustedHosts: readonly TrustedHost[];
  /** How names of public hosts are resolved; by DNS unless given. */
  resolve?: Resolve;
}

/** What the API must know of callbacks before it accepts one. */
export interface CallbackRules {
  /** Why an address is refused; undefined where it is not. */
  problemOf(url: string): string | undefined;
  /** With which the callbacks of a tenant are signed, as its receivers take them. */
  secretsOf(tenant: string): string[];
}

/** The rules of callbacks; undefined for a fleet that has no secret, and so refuses them. */
export function callbackRules({ secrets, trustedHosts }: WebhookSettings): CallbackRules | undefined {
  if (secrets.length === 0) return undefined;
  return {
    problemOf: (url) => callbackProblem(url, trustedHosts),
    secretsOf: (tenant) => secrets.map((secret) => tenantSecret(secret, tenant)),
  };
}

/** Sends notifications by HTTP, signed as Standard Webhooks has it, and only where they may go. */
export class Webhook implements NotificationTarget {
  readonly #settings: WebhookSettings;

  constructor(settings: WebhookSettings) {
    this.#settings = settings;
  }

  async send({ id, tenant, url: text, body: notification }: Delivery, signal: AbortSignal): Promise<DeliveryOutcome> {
    const { secrets, trustedHosts, resolve = resolvePublic } = this.#settings;
    if (secrets.length === 0) return { kind: "failed", reason: "the fleet has no FLOTILLA_CALLBACK_SECRET" };
    // The rules of now: a host may have been taken from the list since the workflow was accepted.
    const problem = callbackProblem(text, trustedHosts);
    if (problem !== undefined) return { kind: "failed", reason: `the address ${problem}` };
    const url = new URL(text);
    const body = JSON.stringify(notification);
    const timestamp = Math.floor(Date.now() / 1000);
    const derived = secrets.map((secret) => tenantSecret(secret, tenant));
    const headers = {
      "content-type": "application/json",
      "user-agent": "flotilla",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signatureOf({ id, timestamp, body }, derived),
    };
    const trusts = isTrusted(url, trustedHosts);
    const post = { url, headers, body, isTrusted: trusts, resolve: trusts ? resolveLocal : resolve };
    try {
      return outcomeOf(await guardedPost(post, AbortSignal.any([signal, AbortSignal.timeout(tryMs)])));
    } catch (error) {
      return { kind: "failed", reason: reasonOf(error) };
    }
  }
}

function outcomeOf(status: number): DeliveryOutcome {
  if (status >= 200 && status < 300) return { kind: "delivered" };
  return { kind: status === gone ? "refused" : "failed", reason: `it was answered with ${status}` };
}

/** In words that name no address: the path and query of one may hold a secret of its owner. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "it could not be sent";
  const { code, cause } = error as NodeJS.ErrnoException;
  if (code === "ABORT_ERR") return cause instanceof Error ? cause.message : `no answer within ${tryMs} ms`;
  return code ?? error.message;
}
