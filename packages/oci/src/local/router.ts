import type { Operation } from "./wire.ts";

/** The operation of a request, and the parameters in its path. */
export interface Match {
  operation: Operation;
  path: Record<string, string>;
}

/** Finds the operation that a method and a path ask for. */
export class Router {
  readonly #routes: { operation: Operation; segments: string[] }[];

  constructor(operations: readonly Operation[]) {
    this.#routes = operations.map((operation) => ({ operation, segments: operation.pattern.split("/") }));
  }

  find(method: string, pathname: string): Match | undefined {
    const given = pathname.split("/");
    for (const { operation, segments } of this.#routes) {
      const path = operation.method === method ? match(segments, given) : undefined;
      if (path) return { operation, path };
    }
    return undefined;
  }
}

function match(segments: readonly string[], given: readonly string[]): Record<string, string> | undefined {
  const takesRest = segments.at(-1)?.endsWith("...}") ?? false;
  if (takesRest ? given.length < segments.length : given.length !== segments.length) return undefined;
  const path: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const [, name, rest] = /^\{(\w+)(\.\.\.)?\}$/.exec(segment) ?? [];
    const value = rest === undefined ? given[index] : given.slice(index).join("/");
    if (name === undefined) {
      if (segment !== value) return undefined;
      continue;
    }
    const decoded = decode(value ?? "");
    if (!decoded) return undefined;
    path[name] = decoded;
  }
  return path;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
