import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { TaskError } from "@flotilla/workflow";
import type { SearchResult, Survey } from "./document-index.ts";
import { resolveDocumentsFolder } from "./folder.ts";
import type { AnswerMessage, DocumentOperations, Excerpt, Operation } from "./message.ts";
import type { Citation } from "./quotation.ts";

/** Where documents may be read, and where what is derived from them is kept. */
export interface DocumentSettings {
  /** Folders below which agents may read; the first one is read where a task names none. */
  docsRoots: readonly string[];
  /** The indexes are kept in `index/` below it. */
  dataDir: string;
}

interface PendingCall {
  worker: Worker;
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

/**
 * The documents that agents may read. Reads, indexes and searches in a worker thread of its own, so that the event loop
 * of the process stays free to renew its leases; the thread starts with the first call and does not keep the process
 * alive. Every call resolves `docs` anew, and throws a `TaskError` of class `data` for a folder that is missing or lies
 * outside of the allowed roots.
 */
export class Documents {
  readonly #settings: DocumentSettings;
  readonly #pending = new Map<number, PendingCall>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor(settings: DocumentSettings) {
    this.#settings = settings;
  }

  /** The real path of the folder that `docs` names. */
  folder(docs: string | undefined): string {
    return resolveDocumentsFolder(docs, this.#settings.docsRoots);
  }

  /** Brings the index up to date with the folder and counts what it holds. */
  async survey(docs: string | undefined, signal?: AbortSignal): Promise<Survey> {
    return this.#call("survey", { folder: this.folder(docs) }, signal);
  }

  /** The passages that bear most on a question in plain words. */
  async search(docs: string | undefined, query: string, limit: number, signal?: AbortSignal): Promise<SearchResult> {
    return this.#call("search", { folder: this.folder(docs), query, limit }, signal);
  }

  /** Lines of one document, verbatim, both ends included. */
  async read(
    docs: string | undefined,
    range: { path: string; fromLine: number; toLine: number },
    signal?: AbortSignal,
  ): Promise<Excerpt> {
    return this.#call("read", { folder: this.folder(docs), ...range }, signal);
  }

  /** Where the words of each citation really stand, with the text as the file has it; null where they do not. */
  async locate(docs: string | undefined, citations: Citation[], signal?: AbortSignal): Promise<(Citation | null)[]> {
    return this.#call("locate", { folder: this.folder(docs), citations }, signal);
  }

  /** Whether each citation stands on disk now, character for character, on the line that it names. */
  async check(docs: string | undefined, citations: Citation[], signal?: AbortSignal): Promise<boolean[]> {
    return this.#call("check", { folder: this.folder(docs), citations }, signal);
  }

  /** Ends the thread; calls under way are rejected. A later call starts a new one. */
  async stop(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  async #call<O extends Operation>(
    operation: O,
    ask: DocumentOperations[O]["ask"],
    signal: AbortSignal | undefined,
  ): Promise<DocumentOperations[O]["answer"]> {
    signal?.throwIfAborted();
    const worker = (this.#worker ??= this.#start());
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<DocumentOperations[O]["answer"]>();
    // The thread answers each operation with its own kind of answer.
    this.#pending.set(id, { worker, resolve: (answer) => resolve(answer as DocumentOperations[O]["answer"]), reject });
    const abandon = () => reject(signal?.reason);
    signal?.addEventListener("abort", abandon, { once: true });
    worker.ref();
    worker.postMessage({ id, indexDir: join(this.#settings.dataDir, "index"), operation, ...ask });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", abandon);
      this.#pending.delete(id);
      if (this.#pending.size === 0) worker.unref();
    }
  }

  #start(): Worker {
    const worker = new Worker(new URL("./thread.ts", import.meta.url));
    const fail = (error: Error) => {
      if (this.#worker === worker) this.#worker = undefined;
      for (const call of this.#pending.values()) if (call.worker === worker) call.reject(error);
    };
    worker.on("message", (message: AnswerMessage) => this.#settle(message));
    worker.on("error", (error) => fail(error instanceof Error ? error : new Error(String(error))));
    worker.on("exit", (code) => fail(new Error(`the documents thread ended with code ${code}`)));
    return worker;
  }

  #settle(message: AnswerMessage): void {
    const call = this.#pending.get(message.id);
    switch (message.kind) {
      case "answer":
        return call?.resolve(message.answer);
      case "refused":
        return call?.reject(new TaskError(message.failure));
      case "broken":
        return call?.reject(new Error("the documents could not be read", { cause: message.error }));
    }
  }
}
