import { TaskError } from "./failure.ts";
import { taskIdPattern } from "./ids.ts";
import type { Json } from "./json.ts";

/** What a template names: a place in the output of a task, or in the input of the workflow. */
export type TemplateRef = { kind: "task"; taskId: string; path: string[] } | { kind: "input"; path: string[] };

/** A template in a value: the JSON path of its string, its text, and what it names (undefined when ill-formed). */
export interface FoundTemplate {
  path: (string | number)[];
  text: string;
  ref: TemplateRef | undefined;
}

const template = /\{\{([^{}]*)\}\}/g;
const wholeTemplate = /^\{\{([^{}]*)\}\}$/;

function parseRef(expression: string): TemplateRef | undefined {
  const [root, ...rest] = expression.trim().split(".");
  if (rest.includes("")) return undefined;
  if (root === "input") return { kind: "input", path: rest };
  const [taskId, output, ...path] = rest;
  if (root !== "tasks" || taskId === undefined || !taskIdPattern.test(taskId) || output !== "output") return undefined;
  return { kind: "task", taskId, path };
}

/** Every template in the strings of `value`, at any depth; keys are not looked at. */
export function findTemplates(value: Json): FoundTemplate[] {
  const found: FoundTemplate[] = [];
  const walk = (item: Json, path: (string | number)[]): void => {
    if (typeof item === "string") {
      for (const [text, expression = ""] of item.matchAll(template))
        found.push({ path, text, ref: parseRef(expression) });
    } else if (Array.isArray(item)) {
      item.forEach((child, index) => walk(child, [...path, index]));
    } else if (item !== null && typeof item === "object") {
      for (const [key, child] of Object.entries(item)) walk(child, [...path, key]);
    }
  };
  walk(value, []);
  return found;
}

/** Where templates find their values. */
export interface TemplateScope {
  input: Json;
  /** Undefined for a task that failed under `onFailure: continue`: any path into it is null. */
  output(taskId: string): Json | undefined;
}

/**
 * The value with its templates filled in: a string that is exactly one template takes the value with its type,
 * in a longer string objects become JSON. Throws `TaskError` of class `data` on a path that is not there.
 */
export function resolveTemplates(value: Json, scope: TemplateScope): Json {
  if (typeof value === "string") return resolveString(value, scope);
  if (Array.isArray(value)) return value.map((item) => resolveTemplates(item, scope));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolveTemplates(item, scope)]));
}

function resolveString(text: string, scope: TemplateScope): Json {
  const whole = wholeTemplate.exec(text);
  if (whole) return lookUp(text, whole[1] ?? "", scope);
  return text.replace(template, (match, expression: string) => {
    const value = lookUp(match, expression, scope);
    return typeof value === "string" ? value : JSON.stringify(value);
  });
}

function lookUp(text: string, expression: string, scope: TemplateScope): Json {
  const ref = parseRef(expression);
  if (!ref) throw missing(text);
  const root = ref.kind === "input" ? scope.input : scope.output(ref.taskId);
  if (root === undefined) return null;
  let value: Json = root;
  for (const key of ref.path) {
    const inside: Json | undefined =
      value !== null && typeof value === "object" && Object.prototype.propertyIsEnumerable.call(value, key)
        ? // Own and enumerable: the keys of JSON, and the indexes of an array but not its `length`.
          (value as { [key: string]: Json })[key]
        : undefined;
    if (inside === undefined) throw missing(text);
    value = inside;
  }
  return value;
}

function missing(text: string): TaskError {
  return new TaskError({ class: "data", code: "missing-path", message: `nothing is at ${text}` });
}
