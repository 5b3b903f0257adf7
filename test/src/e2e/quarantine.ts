import { until } from "@flotilla/testkit";
import type { ItemView } from "@flotilla/workflow";
import type { Fleet } from "./fleet.ts";

/** What a probe is told so that its worker dies in each of that many claims. */
export function crashes(count: number): { claim: number }[] {
  return Array.from({ length: count }, (_, at) => ({ claim: at + 1 }));
}

/** The item of a workflow one of whose tasks has come into quarantine. */
export function quarantined({ client }: Pick<Fleet, "client">, workflowId: string): Promise<ItemView> {
  return until(async () => (await client.inbox({ workflowId, kind: "quarantine" })).items[0], {
    timeoutMs: 60_000,
    what: "the quarantine",
  });
}
