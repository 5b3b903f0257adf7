import { createHash, randomBytes } from "node:crypto";
import { type KeyRecord, type KeyStore, type Role, StoreUnavailableError, Tenant } from "@flotilla/workflow";
import { z } from "zod";
import type { Connection } from "./connection.ts";

/** SHA-256 of a key (hex) -> its record as JSON. */
export const apiKeysKey = "{keys}:api";

/** There once a key was revoked: then having none is no loss. */
export const revokedKey = "{keys}:revoked";

const StoredKey = z.object({ tenant: Tenant, role: z.enum(["user", "operator"]), createdAt: z.int() });

function hashOf(apiKey: string): string {
  return createHash("sha256").update(apiKey).digest("hex");
}

/** API keys in Redis. A key is looked up by its hash, so nothing about it can be learnt from how long that takes. */
export class RedisKeyStore implements KeyStore {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async create(tenant: string, role: Role): Promise<{ record: KeyRecord; apiKey: string }> {
    const apiKey = `flk_${randomBytes(24).toString("base64url")}`;
    return { record: await this.adopt(apiKey, tenant, role), apiKey };
  }

  /** Registers a key made elsewhere, unless it is there; the record that stands. */
  async adopt(apiKey: string, tenant: string, role: Role): Promise<KeyRecord> {
    const stored = { tenant, role, createdAt: Date.now() };
    const hash = hashOf(apiKey);
    const isNew = await this.#guard(this.#connection.hsetnx(apiKeysKey, hash, JSON.stringify(stored)));
    const earlier = isNew === 1 ? undefined : await this.find(apiKey);
    return earlier ?? { id: hash.slice(0, 8), ...stored };
  }

  async find(apiKey: string): Promise<KeyRecord | undefined> {
    const hash = hashOf(apiKey);
    const stored = await this.#guard(this.#connection.hget(apiKeysKey, hash));
    return stored === null ? undefined : recordOf(hash, stored);
  }

  async list(): Promise<KeyRecord[]> {
    const all = await this.#guard(this.#connection.hgetall(apiKeysKey));
    return Object.entries(all)
      .map(([hash, stored]) => recordOf(hash, stored))
      .toSorted((a, b) => a.createdAt - b.createdAt);
  }

  async revoke(id: string): Promise<boolean> {
    const hashes = await this.#guard(this.#connection.hkeys(apiKeysKey));
    const hash = hashes.find((candidate) => candidate.startsWith(id) && id.length === 8);
    if (hash === undefined) return false;
    await this.#guard(this.#connection.set(revokedKey, "1"));
    return (await this.#guard(this.#connection.hdel(apiKeysKey, hash))) === 1;
  }

  async #guard<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw new StoreUnavailableError({ cause: error });
    }
  }
}

function recordOf(hash: string, stored: string): KeyRecord {
  return { id: hash.slice(0, 8), ...StoredKey.parse(JSON.parse(stored)) };
}
