/** A process that is killed at failpoints: its app, and the sources whose every `await` is one. */
export interface Mortal {
  app: "api" | "supervisor" | "agent";
  sources: readonly string[];
}

/**
 * Where work is stored, decided, handed out, claimed, done and recorded. What the sources below these do, `scripts.ts`
 * above all, is awaited here, so that a failpoint stands on both sides of it.
 */
export const mortals: readonly Mortal[] = [
  { app: "api", sources: ["packages/fleet/src/store.ts", "packages/fleet/src/queues.ts"] },
  {
    app: "supervisor",
    sources: [
      "packages/fleet/src/supervisor.ts",
      "packages/fleet/src/reconcile.ts",
      "packages/fleet/src/admission.ts",
      "packages/fleet/src/queues.ts",
    ],
  },
  {
    app: "agent",
    sources: [
      "packages/fleet/src/agent-worker.ts",
      "packages/fleet/src/queues.ts",
      "packages/fleet/src/claims.ts",
      "packages/fleet/src/outputs.ts",
      "packages/agents/src/steps.ts",
      "packages/agents/src/context.ts",
      "packages/agents/src/execute.ts",
    ],
  },
];

/** Failpoints that a fleet at work need not come to. */
export interface Exception {
  app: Mortal["app"];
  /** Source and function. */
  place: string;
  /** Part of what is awaited, where the function awaits other things too. Not its number: that moves with the others. */
  code?: string;
  reason: string;
}

/** Every exception, with its reason. That a failpoint is come to now and then is no reason to take its own away. */
export const exceptions: readonly Exception[] = [
  {
    app: "api",
    place: "packages/fleet/src/store.ts:RedisStore.#state",
    code: "this.#page(tenant,id,1,",
    reason: "a log that is another one than was read before, as after a failover",
  },
  ...["dispatch", "missing", "oldest"].map((name) => ({
    app: "api" as const,
    place: `packages/fleet/src/queues.ts:Queues.${name}`,
    reason: "the API hands out no tasks, looks for no jobs and has no metrics of queues",
  })),
  {
    app: "supervisor",
    place: "packages/fleet/src/queues.ts:Queues.missing",
    reason: "jobs are looked for after a minute in which nothing happened",
  },
  {
    app: "supervisor",
    place: "packages/fleet/src/reconcile.ts:Reconciler.#decide",
    code: "queues.missing(",
    reason: "as above: what is awaited is the search for jobs",
  },
  {
    app: "supervisor",
    place: "packages/fleet/src/reconcile.ts:Reconciler.#lookAt",
    code: "queues.admit(",
    reason: "a workflow that was not admitted within 5 s, as when its API died; the look may be another supervisor's",
  },
  {
    app: "supervisor",
    place: "packages/fleet/src/queues.ts:Queues.admit",
    reason: "as above: that workflow is put into the queue again",
  },
  {
    app: "supervisor",
    place: "packages/fleet/src/supervisor.ts:Supervisor.#run",
    code: "delay(",
    reason: "a sweep that failed, because Redis is away",
  },
  ...["admit", "missing", "depth", "oldest"].map((name) => ({
    app: "agent" as const,
    place: `packages/fleet/src/queues.ts:Queues.${name}`,
    reason: "an agent admits nothing, looks for no jobs and has no metrics of queues",
  })),
  {
    app: "agent",
    place: "packages/fleet/src/agent-worker.ts:AgentWorker.#insist",
    code: "delay(",
    reason: "a call that is repeated, because Redis is away",
  },
  {
    app: "agent",
    place: "packages/fleet/src/agent-worker.ts:AgentWorker.stop",
    code: "delay(",
    reason:
      "a task under way when the worker stops, and after it has drained; which worker has one is a matter of luck",
  },
  {
    app: "agent",
    place: "packages/fleet/src/agent-worker.ts:AgentWorker.#run",
    code: "this.#release(",
    reason: "as above: that task is handed back",
  },
  {
    app: "agent",
    place: "packages/fleet/src/agent-worker.ts:AgentWorker.#release",
    reason: "as above",
  },
  {
    app: "agent",
    place: "packages/fleet/src/claims.ts:Claims.release",
    reason: "as above",
  },
];
