import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../random.ts";
import type { Role, Victim } from "../member.ts";
import type { Fault } from "./fault.ts";

/** How often each role is hit. */
export type Weights = Readonly<Partial<Record<Role, number>>>;

/** SIGKILL of any process: it is gone in the middle of whatever it did. */
export function kill(victims: readonly Victim[], weights: Weights): Fault {
  return signalling("kill", "SIGKILL", victims, weights);
}

/** SIGTERM of any process: it drains, hands back what it has, and ends. */
export function terminate(victims: readonly Victim[], weights: Weights): Fault {
  return signalling("terminate", "SIGTERM", victims, weights);
}

/** SIGSTOP of any process, for so long: its connections stay open, nobody answers, and then it goes on as if nothing was. */
export function stop(victims: readonly Victim[], weights: Weights, forMs: { min: number; max: number }): Fault {
  return {
    name: "stop",
    async inject(random) {
      const durationMs = random.between(forMs.min, forMs.max);
      const victim = choose(victims, weights, random);
      const pid = victim?.pid;
      if (!victim || pid === undefined || !send(pid, "SIGSTOP")) return undefined;
      await delay(durationMs);
      send(pid, "SIGCONT");
      return `${victim.name} for ${durationMs} ms`;
    },
  };
}

function signalling(name: string, signal: NodeJS.Signals, victims: readonly Victim[], weights: Weights): Fault {
  return {
    name,
    async inject(random) {
      const victim = choose(victims, weights, random);
      return victim?.pid !== undefined && send(victim.pid, signal) ? victim.name : undefined;
    },
  };
}

/** A process by the weight of its role, and the same one whoever happens to run; nobody is hit if that one does not. */
function choose(victims: readonly Victim[], weights: Weights, random: Random): Victim | undefined {
  const weightOf = ({ role }: Victim) => (weights[role] ?? 0) / victims.filter((other) => other.role === role).length;
  let left = random.next() * victims.reduce((sum, victim) => sum + weightOf(victim), 0);
  return victims.find((victim) => (left -= weightOf(victim)) < 0);
}

/** False when the process is gone already. */
function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
