import { type Issue, isDeeperThan, jsonPointer } from "@flotilla/workflow";
import type { FastifyInstance } from "fastify";
import { invalidBody, Problem } from "./problem.ts";

/** Largest body that is accepted, in bytes. */
export const maxBodyBytes = 1024 * 1024;

/** Deepest nesting of arrays and objects that is accepted. */
const maxBodyDepth = 64;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Whether a key that reaches a prototype may stand in the text, escaped or not; only then is the value searched. */
const mayNamePrototype = /__proto__|constructor|\\u/;

/** Accepts `application/json` and nothing else. An empty body is no body (undefined): some calls need none. */
export function acceptJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<Buffer>("application/json", { parseAs: "buffer" }, (_request, body, done) => {
    try {
      done(null, body.length === 0 ? undefined : parseJson(body));
    } catch (error) {
      done(error instanceof Error ? error : new Error("the body was not parsed", { cause: error }));
    }
  });
}

/** The value of a body. Throws the problem that it is to be refused with. */
export function parseJson(body: Buffer): unknown {
  const text = decode(body);
  const value = parseText(text);
  if (isDeeperThan(value, maxBodyDepth)) {
    throw new Problem("too-large", `the body is nested deeper than ${maxBodyDepth} levels`);
  }
  const dangerous = mayNamePrototype.test(text) ? prototypeKeys(value) : [];
  if (dangerous.length > 0) throw invalidBody(dangerous);
  return value;
}

function decode(body: Buffer): string {
  try {
    return utf8.decode(body);
  } catch (cause) {
    throw new Problem("invalid-json", "the body is not UTF-8", { cause });
  }
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // V8 quotes the text around the error; where it stands is enough, and gives nothing of the body away.
    const at = cause instanceof Error && /position \d+/.exec(cause.message)?.[0];
    throw new Problem("invalid-json", at ? `the body is not JSON at ${at}` : "the body is not JSON", { cause });
  }
}

/** Keys that would reach a prototype once somebody merges the value into an object. Depth is bounded by the caller. */
function prototypeKeys(value: unknown, path: readonly string[] = []): Issue[] {
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, child]) => {
    const at = [...path, key];
    const isDangerous = key === "__proto__" || (key === "constructor" && isObjectWithPrototype(child));
    return isDangerous
      ? [{ path: jsonPointer(at), code: "forbidden-key", message: "is not allowed as a key" }]
      : prototypeKeys(child, at);
  });
}

function isObjectWithPrototype(value: unknown): boolean {
  return value !== null && typeof value === "object" && Object.hasOwn(value, "prototype");
}
