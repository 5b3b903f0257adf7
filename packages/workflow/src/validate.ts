import { type AgentCatalog, planIssues } from "./plan.ts";
import { probeInputIssues } from "./probe-input.ts";
import { type Issue, jsonPointer } from "./issue.ts";
import type { PhaseRequest, WorkflowRequest } from "./request.ts";

/** The agent type that tests drive a fleet with. */
const probe = "probe";

/** Every input that goes to a probe as the phases stand, with its place. */
function probeInputs(
  phases: readonly PhaseRequest[],
  below: readonly PropertyKey[],
): { input: unknown; path: PropertyKey[] }[] {
  return phases.flatMap((phase, p) =>
    phase.tasks.flatMap(({ agent, input, compensate }, t) => {
      const at = [...below, p, "tasks", t];
      return [
        ...(agent === probe ? [{ input, path: [...at, "input"] }] : []),
        ...(compensate?.agent === probe ? [{ input: compensate.input, path: [...at, "compensate", "input"] }] : []),
      ];
    }),
  );
}

/** Everything that is wrong with the phases that a client or a person gives, which follow on those `before`. */
export function phaseIssues(
  phases: readonly PhaseRequest[],
  agents: AgentCatalog,
  at: readonly PropertyKey[],
  before: readonly PhaseRequest[] = [],
): Issue[] {
  return [
    ...planIssues(phases, agents, at, before),
    ...probeInputs(phases, at).flatMap(({ input, path }) => under(path, probeInputIssues(input))),
  ];
}

function under(path: readonly PropertyKey[], issues: readonly Issue[]): Issue[] {
  return issues.map((issue) => ({ ...issue, path: jsonPointer(path) + issue.path }));
}

/** Everything that is wrong with a well-formed request in the fleet as it is, all at once. */
export function validateRequest(request: WorkflowRequest, agents: AgentCatalog): Issue[] {
  const { agent, plan } = request;
  const wanted = agent ?? (plan ? undefined : "planner");
  return [
    ...(wanted === undefined || agents.has(wanted)
      ? []
      : [{ path: "/agent", code: "unknown-agent", message: `no agent of type ${wanted} is known` }]),
    ...timeIssues(request),
    ...(plan ? phaseIssues(plan.phases, agents, ["plan", "phases"]) : []),
    ...(agent === probe ? under(["input"], probeInputIssues(request.input)) : []),
  ];
}

function timeIssues({ startAt, deadline }: WorkflowRequest): Issue[] {
  if (startAt === undefined || deadline === undefined || Date.parse(deadline) > Date.parse(startAt)) return [];
  return [{ path: "/deadline", code: "invalid", message: "is not after startAt" }];
}
