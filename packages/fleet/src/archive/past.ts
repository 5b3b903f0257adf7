import type { Archive } from "@flotilla/workflow";
import { LruMap } from "../lru-map.ts";
import type { Scripts } from "../scripts.ts";
import { WorkflowArchive, type History } from "./archive.ts";
import { restore } from "./restore.ts";

/** Archived workflows that are kept between reads: pages of events are asked for one after the other. */
const cachedWorkflows = 20;

/** Workflows that have ended and that Redis has forgotten. */
export class Past {
  readonly #archive: WorkflowArchive;
  readonly #cache = new LruMap<string, History>(cachedWorkflows);

  constructor(objects: Archive) {
    this.#archive = new WorkflowArchive(objects);
  }

  /** An ended workflow of the tenant; undefined where the archive has none, or it had not ended. */
  async read(tenant: string, id: string): Promise<History | undefined> {
    const history = this.#cache.get(id) ?? (await this.#archive.read(id));
    if (!history?.hasEnded) return undefined;
    this.#cache.set(id, history);
    return history.fields["tenant"] === tenant ? history : undefined;
  }

  /** Puts it back into Redis, for `keptMs`, so that it can be gone on from; false where there is none. */
  async revive(scripts: Scripts, tenant: string, id: string, keptMs: number): Promise<boolean> {
    const history = await this.read(tenant, id);
    if (!history) return false;
    const now = Date.now();
    // Redis forgets none whose events are not exported.
    await restore(scripts, history, { now, keptUntil: now + keptMs, isExported: true });
    return true;
  }
}
