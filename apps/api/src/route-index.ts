import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from "fastify";
import { notFound, Problem } from "./problem.ts";
import type { RouteDoc } from "./route-doc.ts";

/** A route as it is registered, with what is said about it. */
export interface DocumentedRoute {
  method: string;
  url: string;
  doc: RouteDoc;
}

interface KnownPath {
  pattern: RegExp;
  methods: Set<string>;
}

/** Every route of the application, collected while they are registered. */
export class RouteIndex {
  readonly #paths = new Map<string, KnownPath>();
  readonly #documented: DocumentedRoute[] = [];

  constructor(app: FastifyInstance) {
    app.addHook("onRoute", ({ method, url, config }) => {
      for (const name of [method].flat()) this.#add(name, url, config?.doc);
    });
  }

  /** The routes that carry a `doc`, HEAD left out: it follows from GET. */
  get documented(): readonly DocumentedRoute[] {
    return this.#documented;
  }

  #add(method: string, url: string, doc: RouteDoc | undefined): void {
    const path = this.#paths.get(url) ?? { pattern: patternOf(url), methods: new Set() };
    path.methods.add(method);
    this.#paths.set(url, path);
    if (doc && method !== "HEAD") this.#documented.push({ method, url, doc });
  }

  /** The methods that a concrete path answers to; none when there is no such path. */
  methodsOf(path: string): string[] {
    for (const { pattern, methods } of this.#paths.values()) {
      if (pattern.test(path)) return [...methods, "OPTIONS"].toSorted();
    }
    return [];
  }
}

/**
 * Answers what no route takes: 404, or for a known path 405 with `Allow` (204 to OPTIONS). A hook and not a handler:
 * it comes after authentication and before the body, which nobody needs to read.
 */
export function refuseUnrouted(routes: RouteIndex): onRequestHookHandler {
  return (request, reply, done) => {
    if (!request.is404) return done();
    const allow = routes.methodsOf(pathOf(request)).join(", ");
    if (allow === "") return done(notFound());
    if (request.method === "OPTIONS") return void reply.code(204).header("allow", allow).send();
    done(new Problem("method-not-allowed", `use one of ${allow}`, { headers: { allow } }));
  };
}

function pathOf(request: FastifyRequest): string {
  return request.url.split("?", 1)[0] ?? "";
}

function patternOf(url: string): RegExp {
  const escaped = url.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll(/:[A-Za-z]+/g, "[^/]+")}$`);
}
