import { hash } from "node:crypto";
import type { KeyRecord, KeyStore } from "@flotilla/workflow";
import { ExpiringMap } from "./expiring-map.ts";

/** A revoked key is refused within 5 s: this, and what a lookup under way may take. */
const keptMs = 4000;
const maxKept = 10_000;

/**
 * Looks API keys up and remembers the answers for 4 s. Concurrent lookups of one key are one. Good and bad keys are kept
 * apart, so that a flood of guesses cannot push the good ones out; keys themselves are not kept, only their hashes.
 */
export class KeyCache {
  readonly #keys: Pick<KeyStore, "find">;
  readonly #known = new ExpiringMap<KeyRecord>(maxKept, keptMs);
  readonly #unknown = new ExpiringMap<true>(maxKept, keptMs);
  readonly #pending = new Map<string, Promise<KeyRecord | undefined>>();

  constructor(keys: Pick<KeyStore, "find">) {
    this.#keys = keys;
  }

  /** The owner of a key. Rejects with `StoreUnavailableError` when it is not remembered and cannot be looked up. */
  async find(apiKey: string): Promise<KeyRecord | undefined> {
    const name = hash("sha256", apiKey, "base64");
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (this.#unknown.get(name)) return undefined;
    const pending = this.#pending.get(name) ?? this.#lookUp(name, apiKey);
    return pending;
  }

  #lookUp(name: string, apiKey: string): Promise<KeyRecord | undefined> {
    const lookup = this.#keys
      .find(apiKey)
      .then((record) => {
        if (record === undefined) this.#unknown.set(name, true);
        else this.#known.set(name, record);
        return record;
      })
      .finally(() => this.#pending.delete(name));
    this.#pending.set(name, lookup);
    return lookup;
  }
}
