import { existsSync, globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { FailureClass, Strategy } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");

async function readAll(patterns: string[]): Promise<Map<string, string>> {
  const files = globSync(patterns, { cwd: root, exclude: ["**/node_modules/**"] }).toSorted();
  return new Map(
    await Promise.all(files.map(async (file) => [file, await readFile(join(root, file), "utf8")] as const)),
  );
}

const pages = await readAll(["*.md", "docs/**/*.md", "apps/**/*.md", "packages/**/*.md", "bench/**/*.md"]);
const sources = await readAll(["apps/*/src/**/*.ts", "packages/*/src/**/*.ts"]);

/** Where the source names a code: as a field, as an argument of what makes errors, or in the table of HTTP problems. */
const namings = [
  /\bcode: "([a-z]+(?:-[a-z]+)*)"/g,
  /\bcode: ((?:"[a-z-]+"(?: \| )?)+)/g,
  /\bverdict\("[a-z-]+", "([a-z-]+)"\)/g,
  /\b(?:dataError|refusal|RedisSetupError)\(\s*"([a-z-]+)"/g,
  /\breport\(.*?, "([a-z]+(?:-[a-z]+)+)", /g,
  /^ {2}"?([a-z-]+)"?: \{ status: \d{3}/gm,
];

function codesOf(text: string): string[] {
  const named = namings.flatMap((naming) => [...text.matchAll(naming)].map(([, code = ""]) => code));
  return named.flatMap((code) => code.replaceAll('"', "").split(" | ")).filter(Boolean);
}

/** Issues of zod that nobody named; they take another code on their way to a client. */
const foreign = new Set(["custom"]);

/** As GitHub makes the anchor of a heading. */
function anchorOf(heading: string): string {
  const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)|[`*]/g, "$1").toLowerCase();
  return plain.replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
}

function anchorsOf(page: string): Set<string> {
  return new Set([...proseOf(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading)));
}

/** A page without its blocks of code, in which a bracket is no link. */
function proseOf(page: string): string {
  return page.replaceAll(/^```.*?^```/gms, "");
}

describe("errors.md", () => {
  const documented = new Set(
    [...(pages.get("docs/errors.md") ?? "").matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, code = ""]) => code),
  );
  const named = new Set([...sources.values()].flatMap(codesOf).filter((code) => !foreign.has(code)));

  test("the codes of failures, HTTP problems, plans, documents and set-up are all found in the source", () => {
    const samples = ["worker-died", "too-large", "invalid-append", "provider-denied", "cyclic-dependency"];
    expect([...named]).toEqual(expect.arrayContaining([...samples, "documents-missing", "redis-missing", "forbidden"]));
  });

  test("every code that the source names is explained", () => {
    expect([...named].filter((code) => !documented.has(code))).toEqual([]);
  });

  test("every code that is explained is named by the source, or is a class or a strategy", () => {
    const others = new Set<string>([...FailureClass.options, ...Strategy.options]);
    expect([...documented].filter((code) => !named.has(code) && !others.has(code))).toEqual([]);
  });
});

describe("links", () => {
  test.each([...pages.keys()])("every relative link of %s leads somewhere", (page) => {
    const links = [...proseOf(pages.get(page) ?? "").matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
    const broken = links.filter((link) => {
      if (/^[a-z]+:/.test(link)) return false;
      const [path = "", anchor] = link.split("#", 2);
      const target = path === "" ? page : join(dirname(page), path);
      if (!existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchorsOf(pages.get(target) ?? "").has(anchor);
    });
    expect(broken).toEqual([]);
  });

  test("the index of docs/ leads to every page below it", () => {
    const index = pages.get("docs/README.md") ?? "";
    const below = [...pages.keys()].filter((page) => page.startsWith("docs/") && page !== "docs/README.md");
    expect(below.filter((page) => !index.includes(`(${page.slice("docs/".length)})`))).toEqual([]);
  });
});

/** What the pages name by that pattern, with the page that does. */
function namedInPages(pattern: RegExp): { page: string; name: string }[] {
  return [...pages].flatMap(([page, text]) => [...text.matchAll(pattern)].map(([, name = ""]) => ({ page, name })));
}

function namedInSources(pattern: RegExp): Set<string> {
  return new Set([...sources.values()].flatMap((text) => [...text.matchAll(pattern)].map(([, name = ""]) => name)));
}

test("every npm script that a page names exists", async () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(
    await readFile(join(root, "package.json"), "utf8"),
  );
  const named = namedInPages(/\bnpm run ([a-z][a-z:-]*)/g);
  expect(named).toContainEqual({ page: "README.md", name: "demo" });
  expect(named.filter(({ name }) => !(name in scripts))).toEqual([]);
});

test("every command of flotilla that a page names exists", () => {
  const commands = namedInSources(/\.command\("([a-z]+)"\)/g);
  const named = namedInPages(/\bnpx flotilla ([a-z]+)/g);
  expect(named).toContainEqual({ page: "README.md", name: "up" });
  expect(named.filter(({ name }) => !commands.has(name))).toEqual([]);
});

test("the page for operators names every metric of the fleet, and no other", () => {
  const declared = namedInSources(/\bname: "(flotilla_[a-z_]+)"/g);
  const named = new Set(namedInPages(/`(flotilla_[a-z_]+)`/g).map(({ name }) => name));
  expect(declared).toContain("flotilla_due_lag_seconds");
  expect([...named].toSorted()).toEqual([...declared].toSorted());
});
