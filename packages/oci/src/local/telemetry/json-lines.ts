import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";

/** What a service was given, one JSON line each, in a file that survives the server. */
export class JsonLines {
  readonly #file: string;
  /** Appends, one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
  }

  /** Resolves when all lines are in the file. */
  append(values: readonly unknown[]): Promise<void> {
    const text = values.map((value) => `${JSON.stringify(value)}\n`).join("");
    const appended = this.#last.then(async () => {
      await mkdir(dirname(this.#file), { recursive: true });
      await appendFile(this.#file, text);
    });
    this.#last = appended.catch(() => {});
    return appended;
  }

  /** All that was ever given. */
  async all(): Promise<unknown[]> {
    const text = await readFile(this.#file, "utf8").catch(() => "");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line): unknown => JSON.parse(line));
  }
}
