import { parentPort } from "node:worker_threads";
import { TaskError } from "@flotilla/workflow";
import { DocumentIndex } from "./document-index.ts";
import { resolveDocument } from "./folder.ts";
import type { AnswerMessage, AskMessage, DocumentOperations, Excerpt, Operation } from "./message.ts";
import { type Citation, locateQuote, standsAt } from "./quotation.ts";
import { lineEnd, lineStart, readTextFile } from "./text-file.ts";

/** Longest excerpt in characters: what a model is given of a document at once. */
const maxExcerpt = 16_000;

const indexes = new Map<string, DocumentIndex>();

// The thread of `Documents`: one question after the other, all of it synchronous.
parentPort?.on("message", (message: AskMessage) => {
  const reply = (answer: AnswerMessage) => parentPort?.postMessage(answer);
  try {
    reply({ id: message.id, kind: "answer", answer: answer(message) });
  } catch (error) {
    if (error instanceof TaskError) reply({ id: message.id, kind: "refused", failure: error.failure });
    else reply({ id: message.id, kind: "broken", error });
  }
});

function answer(message: AskMessage): DocumentOperations[Operation]["answer"] {
  switch (message.operation) {
    case "survey":
      return indexOf(message).refresh();
    case "search":
      return indexOf(message).search(message.query, message.limit);
    case "read":
      return read(message.folder, message.path, message.fromLine, message.toLine);
    case "locate":
      return locate(message.folder, message.citations);
    case "check":
      return message.citations.map((citation) => {
        const text = textOf(message.folder, citation.path);
        return text !== undefined && standsAt(text, citation.line, citation.quote);
      });
  }
}

/** Up to date when it is first used by this process; afterwards `survey` renews it. */
function indexOf({ folder, indexDir, operation }: AskMessage): DocumentIndex {
  const key = `${indexDir}\0${folder}`;
  const open = indexes.get(key);
  if (open) return open;
  const index = DocumentIndex.open(folder, indexDir);
  if (operation !== "survey") index.refresh();
  indexes.set(key, index);
  return index;
}

function read(folder: string, path: string, fromLine: number, toLine: number): Excerpt {
  const text = readTextFile(resolveDocument(folder, path));
  const start = text === undefined ? -1 : lineStart(text, fromLine);
  if (text === undefined || start < 0 || start === text.length) {
    throw new TaskError({
      class: "data",
      code: "document-unreadable",
      message: `${path} has no readable line ${fromLine}`,
    });
  }
  let end = lineEnd(text, start);
  let line = fromLine;
  while (line < toLine && end < text.length && end - start < maxExcerpt) {
    end = lineEnd(text, end);
    line++;
  }
  return { path, fromLine, toLine: line, text: text.slice(start, Math.min(end, start + maxExcerpt)) };
}

function locate(folder: string, citations: readonly Citation[]): (Citation | null)[] {
  return citations.map(({ path, line, quote }) => {
    const text = textOf(folder, path);
    const found = text === undefined ? undefined : locateQuote(text, line, quote);
    return found ? { path, ...found } : null;
  });
}

/** The text of a document, or undefined for what is none: a citation may name anything. */
function textOf(folder: string, path: string): string | undefined {
  try {
    return readTextFile(resolveDocument(folder, path));
  } catch {
    return undefined;
  }
}
