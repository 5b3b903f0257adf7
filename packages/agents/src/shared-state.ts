import { type Journal, type Json, maxSharedBytes, SharedRecord, TaskError } from "@flotilla/workflow";
import { maxInlineBytes, type Steps } from "./steps.ts";

const namePattern = /^[^#\p{Cc}]{1,200}$/u;

/** A value that the agents of a workflow share, as it stood. */
export interface SharedValue {
  /** `null` where nobody has set it. */
  value: Json;
  /** Rises with every change; 0 where nobody has set it. */
  version: number;
}

/** What the agents of one workflow share: values by name, at most 64 KB of JSON in all and 32 KB each. */
export interface SharedState {
  /** The value of that name. A step: a replay gives what was seen the first time, whatever it is now. */
  get(name: string): Promise<SharedValue>;
  /**
   * Sets the value unless somebody has changed it since `version`, and gives what stands then. A step: it is set once,
   * and a replay gives what came of it. Throws `TaskError` of class `data` where there is no room.
   */
  compareAndSet(name: string, version: number, value: Json): Promise<SharedValue & { isSet: boolean }>;
}

/** What a run shares with the others of its workflow. */
export function sharedState({ steps, journal }: { steps: Steps; journal: Journal }): SharedState {
  const access = async (kind: "get" | "set", name: string, change?: { version: number; value: Json }) => {
    if (!namePattern.test(name))
      throw refusal("invalid-state-name", "a shared value is named by 1 to 200 characters without #");
    const key = steps.keyFor(`#state/${kind}/${name}`);
    if (change && Buffer.byteLength(JSON.stringify(change.value)) > maxInlineBytes) {
      throw refusal("state-too-large", `a shared value has at most ${maxInlineBytes} bytes of JSON`);
    }
    const { inputHash, known } = await steps.find(key, { name, ...change });
    const entry = known ?? (await journal.share({ key, inputHash, name, ...(change && { change }) }));
    if (!entry) throw refusal("state-too-large", `what a workflow shares has at most ${maxSharedBytes} bytes in all`);
    if (!("result" in entry)) throw refusal("nondeterministic", `step ${key} was an effect before, and is none now`);
    return SharedRecord.parse(await steps.read(entry));
  };
  return {
    async get(name) {
      const { value, version } = await access("get", name);
      return { value, version };
    },
    compareAndSet: (name, version, value) => access("set", name, { version, value }),
  };
}

function refusal(code: string, message: string): TaskError {
  return new TaskError({ class: "data", code, message });
}
