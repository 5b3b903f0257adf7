import type { KeyRecord } from "@flotilla/workflow";
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from "fastify";
import type { KeyCache } from "./key-cache.ts";
import { Problem } from "./problem.ts";

const callerDecorator = "caller";
const bearer = /^Bearer +([\x21-\x7e]{1,512})$/i;
const basic = /^Basic +([A-Za-z0-9+/=]{1,1024})$/i;

/** Prepares the place where a request keeps who calls. */
export function decorateCaller(app: FastifyInstance): void {
  app.decorateRequest(callerDecorator, null);
}

/** Who calls; only for routes behind `authenticate`. */
export function callerOf(request: FastifyRequest): KeyRecord {
  return request.getDecorator<KeyRecord>(callerDecorator);
}

/** The tenant of who calls, for the log; undefined before authentication and where there is none. */
export function tenantOf(request: FastifyRequest): string | undefined {
  return request.getDecorator<KeyRecord | null>(callerDecorator)?.tenant;
}

/** Lets requests with a known key in the `Authorization: Bearer` header pass; 401 for all others. */
export function authenticate(keys: KeyCache): onRequestAsyncHookHandler {
  return async (request) => {
    const apiKey = bearer.exec(request.headers.authorization ?? "")?.[1];
    const caller = apiKey === undefined ? undefined : await keys.find(apiKey);
    if (caller === undefined) {
      throw new Problem("unauthenticated", "send a valid API key as Authorization: Bearer <key>", {
        headers: { "www-authenticate": "Bearer" },
      });
    }
    request.setDecorator(callerDecorator, caller);
  };
}

/**
 * Lets operators pass. A browser cannot be told to send a bearer token with a navigation, so the key may come as the
 * password of HTTP Basic too; nothing behind this hook may change state, for a browser sends Basic to forged requests.
 */
export function authenticateOperator(keys: KeyCache): onRequestAsyncHookHandler {
  return async (request) => {
    const header = request.headers.authorization ?? "";
    const apiKey = bearer.exec(header)?.[1] ?? passwordOf(header);
    const caller = apiKey === undefined ? undefined : await keys.find(apiKey);
    if (caller === undefined) {
      throw new Problem("unauthenticated", "send an operator's API key, as Bearer or as the password of Basic", {
        headers: { "www-authenticate": 'Basic realm="flotilla queues", charset="UTF-8", Bearer' },
      });
    }
    refuseUnlessOperator(caller);
    request.setDecorator(callerDecorator, caller);
  };
}

/** Lets operators pass, behind `authenticate`. What they say is about the whole fleet, and not about their tenant. */
export const refuseOthersThanOperators: onRequestAsyncHookHandler = async (request) => {
  refuseUnlessOperator(callerOf(request));
};

function refuseUnlessOperator({ role }: KeyRecord): void {
  if (role !== "operator") throw new Problem("forbidden", "this needs the API key of an operator");
}

function passwordOf(header: string): string | undefined {
  const encoded = basic.exec(header)?.[1];
  if (encoded === undefined) return undefined;
  const credentials = Buffer.from(encoded, "base64").toString("utf8");
  const password = credentials.slice(credentials.indexOf(":") + 1);
  return password === "" ? undefined : password;
}
