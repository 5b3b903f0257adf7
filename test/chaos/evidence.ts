import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@flotilla/client";
import { ProblemError } from "@flotilla/client";
import type { EventView } from "@flotilla/workflow";
import type { Effect, Evidence, Told } from "./checker.ts";
import { type Ack, readLedger } from "./ledger.ts";
import { openWorkflows } from "./load.ts";

/** Calls at once. */
const readers = 8;

/** Waits until no workflow is open, for so long at most; how long that took, in ms. What is open then is stuck. */
export async function settle(client: Client, withinMs: number): Promise<number> {
  const startedAt = performance.now();
  const deadline = startedAt + withinMs;
  while (performance.now() < deadline && (await openWorkflows(client)) > 0) await delay(200);
  return performance.now() - startedAt;
}

/** Asks the fleet for every workflow of the ledger, and reads what their effects were. */
export async function collectEvidence(client: Client, ledgerPath: string, effectsFile: string): Promise<Evidence> {
  const acks = await readLedger(ledgerPath);
  const told = new Map<string, Told>();
  const queue = [...acks];
  const read = async () => {
    for (let ack = queue.pop(); ack; ack = queue.pop()) {
      const workflow = await tell(client, ack);
      if (workflow) told.set(ack.id, workflow);
    }
  };
  await Promise.all(Array.from({ length: readers }, read));
  return { acks, told, listed: await listAll(client), effects: await readEffects(effectsFile) };
}

async function tell(client: Client, { id }: Ack): Promise<Told | undefined> {
  try {
    const { status } = await client.get(id);
    const events: EventView[] = [];
    for await (const event of client.events(id)) events.push(event);
    return { status, events };
  } catch (error) {
    if (error instanceof ProblemError && error.status === 404) return undefined;
    throw error;
  }
}

async function listAll(client: Client): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.list({ limit: 200, ...(cursor === undefined ? {} : { cursor }) });
    ids.push(...page.workflows.map(({ id }) => id));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return ids;
}

/** Every line of an effect log; none where nothing has had an effect yet. */
async function readEffects(file: string): Promise<Effect[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      // The probe wrote the line.
      return JSON.parse(line) as Effect;
    });
}
