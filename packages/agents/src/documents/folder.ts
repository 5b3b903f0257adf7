import { type Dirent, readdirSync, realpathSync, statSync } from "node:fs";
import { extname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { TaskError } from "@flotilla/workflow";

const documentExtensions = new Set([".md", ".markdown", ".mdx", ".mkd", ".txt", ".text", ".rst", ".adoc", ".org"]);
/** Names that are documents without an extension. */
const documentNames =
  /^(?:readme|changelog|changes|contributing|license|licence|copying|notice|authors|install|news|todo)$/i;
/** Other people's documents, by the thousand. */
const packagesFolder = "node_modules";

/** A file found in a documents folder; `path` is relative to it, with `/` between its parts. */
export interface FoundFile {
  path: string;
  isDocument: boolean;
}

/**
 * The real path of the documents folder to use: `docs`, or the first of `roots` where none is named. Throws a
 * `TaskError` of class `data` when there is none, when it is no folder, or when it lies outside of `roots`,
 * symbolic links resolved.
 */
export function resolveDocumentsFolder(docs: string | undefined, roots: readonly string[]): string {
  const [firstRoot] = roots;
  if (firstRoot === undefined) {
    throw refusal(
      "documents-not-configured",
      "no documents folder is allowed: name one with --docs or FLOTILLA_DOCS_ROOTS",
    );
  }
  const folder = realFolder(docs === undefined ? firstRoot : resolve(firstRoot, docs));
  if (folder === undefined) {
    throw refusal("documents-missing", `the documents folder does not exist or is not a folder: ${docs ?? firstRoot}`);
  }
  const isAllowed = roots.some((root) => {
    const allowed = realFolder(root);
    return allowed !== undefined && isWithin(allowed, folder);
  });
  if (!isAllowed) {
    throw refusal(
      "documents-forbidden",
      `the documents folder is not below an allowed root (FLOTILLA_DOCS_ROOTS): ${docs}`,
    );
  }
  return folder;
}

/**
 * The absolute path of one document of `folder`. Throws a `TaskError` of class `data` for what leads out of the folder,
 * symbolic links resolved, and for what `walkFolder` would not list either.
 */
export function resolveDocument(folder: string, path: string): string {
  const parts = path.split("/");
  const isPlain = !isAbsolute(path) && !path.includes("\0") && !path.includes("\\") && !parts.some(isPassedOver);
  const name = parts.at(-1) ?? "";
  if (!isPlain || !isDocumentName(name)) throw refusal("document-forbidden", `not a document of this folder: ${path}`);
  let real: string;
  try {
    real = realpathSync(join(folder, path));
    if (!statSync(real).isFile()) throw refusal("document-missing", `there is no such document: ${path}`);
  } catch (error) {
    if (error instanceof TaskError) throw error;
    throw refusal("document-missing", `there is no such document: ${path}`, error);
  }
  if (!isWithin(folder, real)) throw refusal("document-forbidden", `not a document of this folder: ${path}`);
  return real;
}

/**
 * Every file below a folder, one folder in memory at a time, in the order of their names. Hidden files, packages
 * and symbolic links are passed over: what a link inside the folder points to is found at its own place.
 */
export function* walkFolder(folder: string): Generator<FoundFile> {
  const pending = [folder];
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    const subfolders: string[] = [];
    for (const entry of listFolder(current)) {
      const path = join(current, entry.name);
      if (isPassedOver(entry.name)) continue;
      if (entry.isDirectory()) subfolders.push(path);
      if (entry.isFile()) {
        yield { path: relative(folder, path).split(sep).join("/"), isDocument: isDocumentName(entry.name) };
      }
    }
    pending.push(...subfolders.toReversed());
  }
}

/** A folder that cannot be read, or that went away since it was listed, holds nothing for us. */
function listFolder(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}

function isDocumentName(name: string): boolean {
  const extension = extname(name).toLowerCase();
  return extension ? documentExtensions.has(extension) : documentNames.test(name);
}

/** Hidden names, `..` among them, and packages. */
function isPassedOver(name: string): boolean {
  return name.startsWith(".") || name === packagesFolder;
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function realFolder(path: string): string | undefined {
  try {
    const real = realpathSync(path);
    return statSync(real).isDirectory() ? real : undefined;
  } catch {
    return undefined;
  }
}

function refusal(code: string, message: string, cause?: unknown): TaskError {
  return new TaskError({ class: "data", code, message }, { cause });
}
