import type { Failure } from "@flotilla/workflow";
import type { SearchResult, Survey } from "./document-index.ts";
import type { Citation } from "./quotation.ts";

/** A stretch of a document, verbatim. */
export interface Excerpt {
  path: string;
  fromLine: number;
  toLine: number;
  text: string;
}

/** What the thread can be asked; every folder is a real path that was found to be allowed. */
export interface DocumentOperations {
  /** Brings the index up to date with the folder. */
  survey: { ask: { folder: string }; answer: Survey };
  search: { ask: { folder: string; query: string; limit: number }; answer: SearchResult };
  read: { ask: { folder: string; path: string; fromLine: number; toLine: number }; answer: Excerpt };
  /** For each citation what really stands there, or null. */
  locate: { ask: { folder: string; citations: Citation[] }; answer: (Citation | null)[] };
  /** For each citation whether it stands, character for character, where it says. */
  check: { ask: { folder: string; citations: Citation[] }; answer: boolean[] };
}
export type Operation = keyof DocumentOperations;

/** One question to the thread. */
export type AskMessage = {
  [O in Operation]: { id: number; indexDir: string; operation: O } & DocumentOperations[O]["ask"];
}[Operation];

/** Its answer: a refusal is a failure with a class of its own, anything else that went wrong an error. */
export type AnswerMessage =
  | { id: number; kind: "answer"; answer: DocumentOperations[Operation]["answer"] }
  | { id: number; kind: "refused"; failure: Failure }
  | { id: number; kind: "broken"; error: unknown };
