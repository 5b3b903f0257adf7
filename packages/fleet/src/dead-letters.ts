import { DeadLetter, type DeadLetters, StoreUnavailableError } from "@flotilla/workflow";
import { intakeTag } from "./keys.ts";
import type { Reply, Scripts } from "./scripts.ts";

/** Letters that are kept; some 4 KB each. */
const mostKept = 1000;

/** What intakes have refused, in Redis. */
export class RedisDeadLetters implements DeadLetters {
  readonly #scripts: Pick<Scripts, "call">;

  constructor(scripts: Pick<Scripts, "call">) {
    this.#scripts = scripts;
  }

  async add(letter: DeadLetter): Promise<void> {
    const name = `${letter.stream} ${letter.partition} ${letter.offset}`;
    await this.#call("dead-letter", [mostKept, name, JSON.stringify(letter)]);
  }

  async list(limit: number): Promise<DeadLetter[]> {
    const letters = (await this.#call("dead-letters", [limit])) as string[];
    return letters.map((text) => DeadLetter.parse(JSON.parse(text)));
  }

  async #call(script: string, args: (string | number)[]): Promise<Reply> {
    try {
      return await this.#scripts.call(script, intakeTag, args);
    } catch (error) {
      throw new StoreUnavailableError({ cause: error });
    }
  }
}
