import { readFile } from "node:fs/promises";
import * as runtime from "@flotilla/runtime";
import { expect, test } from "vitest";
import { z } from "zod";

const document = await readFile(new URL("../../../docs/configuration.md", import.meta.url), "utf8");

/** The rows of the document's tables, by variable. */
const documented = new Map(
  [...document.matchAll(/^\| `([A-Z_]+)` \| (.+?) \| (.+?) \| (.+) \|$/gm)].map(
    ([, variable = "", type, fallback, meaning = ""]) => [variable, { type, fallback, meaning }],
  ),
);

/** The variables of every environment that the package exports. */
const declared = new Map(
  Object.entries(runtime)
    .filter(([name]) => name.endsWith("Environment"))
    .flatMap(([, environment]) => (environment instanceof z.ZodObject ? Object.entries(environment.shape) : [])),
);

function fallbackOf(variable: z.core.$ZodType): string {
  if (variable instanceof z.ZodExactOptional) return "—";
  // A list of nothing.
  if (variable instanceof z.ZodPrefault && variable.def.defaultValue === "") return "—";
  if (variable instanceof z.ZodPrefault) return `\`${String(variable.def.defaultValue)}\``;
  if (!(variable instanceof z.ZodDefault)) return "required";
  const value = variable.def.defaultValue;
  if (typeof value === "boolean") return value ? "`1`" : "`0`";
  return Array.isArray(value) ? "—" : `\`${String(value)}\``;
}

/** The type as the document words it, as far as the refusal of nonsense gives it away. */
function typeOf(variable: z.core.$ZodType): RegExp {
  const refusal = z.safeParse(variable, "?").error?.issues[0]?.message ?? "";
  const range = /whole number from (\d+) to (\d+)/.exec(refusal);
  if (range) return new RegExp(`^whole number, ${range[1]} to ${range[2]}$`);
  if (refusal.startsWith("must be a number")) return /^number, 0 to 1$/;
  if (refusal === "must be 1 or 0") return /^flag$/;
  if (refusal.startsWith("must be JSON")) return /^JSON$/;
  if (refusal.endsWith("address")) return /^address$/;
  if (refusal.startsWith("must be one of")) return new RegExp(`^${refusal.slice("must be ".length)}$`);
  return /^(text|path|list of (paths|addresses|streams))$/;
}

test("the document names every variable that is read, and no other", () => {
  expect([...documented.keys()].toSorted()).toEqual([...declared.keys()].toSorted());
});

test.each([...declared])("the document says of %s what the schema says", (name, variable) => {
  const row = documented.get(name);
  const described = z.globalRegistry.get(variable)?.description ?? "nothing";
  expect(row?.fallback).toBe(fallbackOf(variable));
  expect(row?.type).toMatch(typeOf(variable));
  expect(row?.meaning.toLowerCase().slice(0, described.length)).toBe(described.toLowerCase());
});
