import { type AgentCatalog, planIssues } from "./plan.ts";
import { probeInputIssues } from "./probe-input.ts";
import { type Issue, jsonPointer, type WorkflowRequest } from "./request.ts";

/** The agent type that tests drive a fleet with. */
const probe = "probe";

/** Every input that goes to a probe as the request stands, with its place. */
function probeInputs(request: WorkflowRequest): { input: unknown; path: PropertyKey[] }[] {
  const planned = request.plan?.phases.flatMap((phase, p) =>
    phase.tasks.flatMap(({ agent, input }, t) =>
      agent === probe ? [{ input, path: ["plan", "phases", p, "tasks", t, "input"] }] : [],
    ),
  );
  return planned ?? (request.agent === probe ? [{ input: request.input, path: ["input"] }] : []);
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
    ...(plan ? planIssues(plan.phases, agents) : []),
    ...probeInputs(request).flatMap(({ input, path }) => under(path, probeInputIssues(input))),
  ];
}

/** The fields of a request that the contract names and this release refuses (422 `not-supported`), all at once. */
export function unsupportedFields(request: WorkflowRequest): Issue[] {
  const refused: PropertyKey[][] = [];
  for (const field of ["budget", "callbackUrl", "deadline", "startAt"] as const) {
    if (request[field] !== undefined) refused.push([field]);
  }
  request.plan?.phases.forEach((phase, p) =>
    phase.tasks.forEach((task, t) => {
      const at = ["plan", "phases", p, "tasks", t];
      for (const field of ["deadline", "fallback", "compensate"] as const) {
        if (task[field] !== undefined) refused.push([...at, field]);
      }
      if (task.onFailure === "compensate") refused.push([...at, "onFailure"]);
    }),
  );
  return refused.map((path) => ({
    path: jsonPointer(path),
    code: "not-supported",
    message: "is not supported by this release",
  }));
}
