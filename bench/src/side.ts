/** One of the two systems that are compared, running on a Redis of its own processes. */
export interface Side {
  /** Runs `count` six-step workflows with at most `inFlight` unfinished ones; resolves when all have ended. */
  run(count: number, inFlight: number): Promise<void>;
  /** Runs one workflow; answers the time from its submission to its end, in ms. */
  latency(): Promise<number>;
  /** CPU seconds that the Node processes of this side have used so far, this one included. */
  cpuSeconds(): Promise<number>;
  /** Resident memory of those processes, in MB. */
  rssMb(): Promise<number>;
  stop(): Promise<void>;
}

/** Tasks that a worker process runs at once, on both sides. */
export const workerConcurrency = 20;

/** What each task gives back, on both sides. */
export const taskOutput = "x".repeat(200);

/** Flags of Node, on both sides those that a fleet runs its processes with. */
export { nodeFlags } from "@flotilla/runtime";

/** CPU seconds of this process. */
export function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
