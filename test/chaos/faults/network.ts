import { setTimeout as delay } from "node:timers/promises";
import type { FaultProxy, Fault as ProxyFault } from "@flotilla/testkit/fault-proxy";
import type { Fault } from "./fault.ts";

/** How a fault of the network ends: as nothing was, with a reset, or with connections that stay open and dead. */
type Ending = "pass" | "cut" | "abandon";

const kinds: Record<Exclude<ProxyFault["kind"], "pass">, Ending> = {
  delay: "pass",
  hold: "pass",
  cut: "pass",
  // The bytes that were swallowed do not come back, so the connection must not go on as if it were whole.
  silent: "abandon",
  dropReplies: "cut",
  abandon: "abandon",
};

/** Every fault that a proxy between the fleet and Redis can make, each for so long. */
export function networkFaults(proxy: FaultProxy, forMs: { min: number; max: number }): Fault[] {
  // The keys of the record are its names; Object.entries forgets it.
  return (Object.entries(kinds) as [keyof typeof kinds, Ending][]).map(([kind, ending]) => ({
    name: kind,
    async inject(random) {
      const ms = random.between(20, 300);
      const durationMs = random.between(forMs.min, forMs.max);
      proxy.set(kind === "delay" ? { kind, ms } : { kind });
      await delay(durationMs);
      proxy.set({ kind: ending });
      proxy.set({ kind: "pass" });
      return `${durationMs} ms`;
    },
  }));
}
