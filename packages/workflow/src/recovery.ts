import { z } from "zod";
import { type Failure, type FailureClass, isRetryable } from "./failure.ts";

/** What is done about a failure of a class; see docs/errors.md. */
export const Strategy = z.enum(["retry", "fallback", "escalate", "fail", "abort"]);
export type Strategy = z.infer<typeof Strategy>;

/**
 * Strategies by class, for what is to be done in another way than usual. What is critical is never tried again; the
 * classes that the fleet gives itself for deadlines, budgets and cancels have no other way.
 */
export const RecoveryTable = z.strictObject({
  transient: Strategy.exactOptional(),
  "rate-limit": Strategy.exactOptional(),
  unknown: Strategy.exactOptional(),
  data: Strategy.exactOptional(),
  critical: z.enum(["escalate", "abort"]).exactOptional(),
});
export type RecoveryTable = z.infer<typeof RecoveryTable>;

/** The tables of agent types; `*` stands for all that have none of their own for a class. */
export type AgentRecovery = Readonly<Record<string, RecoveryTable>>;

/** What is done where no table says otherwise. A fallback where the task has none is a failure. */
const usual: Readonly<Record<FailureClass, Strategy>> = {
  transient: "retry",
  "rate-limit": "retry",
  unknown: "retry",
  data: "fallback",
  critical: "abort",
  poison: "fail",
  deadline: "fail",
  budget: "abort",
  cancelled: "fail",
};

/** What says of a task what a failure of it means. */
export interface Recoverable {
  /** The agent type that has it: the one asked for, or the fallback. */
  readonly agent: string;
  /** The agent type that takes over when this one cannot do it; undefined once it has. */
  readonly fallback: string | undefined;
  readonly recovery: RecoveryTable;
  /** Number of the current try, from 1. */
  readonly attempt: number;
  /** The try from which `attempts` counts: the first, or the first after a retry of the workflow or a fallback. */
  readonly firstAttempt: number;
  readonly attempts: number;
  /** The task that this one undoes. */
  readonly undoes: string | undefined;
}

/** The strategy for a failure of that class: of the task, else of its agent type, else of all, else the usual one. */
export function strategyOf(
  failureClass: FailureClass,
  { agent, recovery }: Pick<Recoverable, "agent" | "recovery">,
  byAgent: AgentRecovery,
): Strategy {
  switch (failureClass) {
    case "transient":
    case "rate-limit":
    case "unknown":
    case "data":
    case "critical":
      return (
        recovery[failureClass] ?? byAgent[agent]?.[failureClass] ?? byAgent["*"]?.[failureClass] ?? usual[failureClass]
      );
    case "deadline":
    case "poison":
    case "budget":
    case "cancelled":
      return usual[failureClass];
  }
}

/**
 * What comes after a failed attempt: another one, the fallback, a person, or the end of the task (`fail`) or of the
 * whole workflow (`abort`). Attempts that are spent lead to the fallback, and a fallback that is none to the end.
 */
export function recoveryOf(task: Recoverable, error: Failure, byAgent: AgentRecovery): Strategy {
  if (task.undoes !== undefined) return hasAttempts(task) && isRetryable(error.class) ? "retry" : "escalate";
  const strategy = strategyOf(error.class, task, byAgent);
  if (strategy === "retry" && hasAttempts(task)) return "retry";
  if (strategy === "retry" || strategy === "fallback") return task.fallback === undefined ? "fail" : "fallback";
  return strategy;
}

function hasAttempts({ attempt, firstAttempt, attempts }: Recoverable): boolean {
  return attempt - firstAttempt + 1 < attempts;
}
