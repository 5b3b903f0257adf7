import { createHash } from "node:crypto";
import { noTracer } from "@flotilla/runtime";
import {
  type BlobStore,
  type Json,
  type JournalEntry,
  noCircuits,
  noModelLimits,
  type PhaseRequest,
  planIssues,
} from "@flotilla/workflow";
import type { Agent } from "../src/agent.ts";
import { builtinAgents, Report } from "../src/builtin/index.ts";
import { createContext } from "../src/context.ts";
import type { DocumentSettings } from "../src/documents/index.ts";
import { createModel, type Model } from "../src/models/model.ts";

/** What a run of the five agents left behind. */
export interface WorkflowRun {
  report: Report;
  /** By name; what a later task wrote under a name stands. */
  artifacts: Map<string, string>;
  outputs: Map<string, Json>;
  messages: string[];
}

/** Runs the built-in agents over documents in this process, as a fleet would: plan first, then each phase. */
export async function runDocumentWorkflow(
  settings: DocumentSettings,
  input: Json,
  options: { model?: Model; beforeTask?: (taskId: string, outputs: Map<string, Json>) => void } = {},
): Promise<WorkflowRun> {
  const agents = new Map(builtinAgents(settings).map((agent) => [agent.type, agent]));
  const run: Omit<WorkflowRun, "report"> = { artifacts: new Map(), outputs: new Map(), messages: [] };
  const model = options.model ?? createModel();
  let phases: PhaseRequest[] = [{ name: "plan", parallel: false, tasks: [{ id: "plan", agent: "planner", input }] }];
  const before = [...phases];
  const catalog = new Map([...agents].map(([type, { mayPlan = false }]) => [type, { mayPlan }]));
  let last = "plan";
  for (let phase = phases.shift(); phase; phase = phases.shift()) {
    const appended = await Promise.all(
      phase.tasks.map(async (task) => {
        last = task.id;
        options.beforeTask?.(task.id, run.outputs);
        const agent = agents.get(task.agent);
        if (!agent) throw new Error(`no agent ${task.agent}`);
        return runTask(
          agent,
          model,
          task.id,
          task.id === "plan" ? input : resolveTemplates(task.input, run.outputs),
          run,
        );
      }),
    );
    const issues = planIssues(appended.flat(), catalog, ["append"], before);
    if (issues.length > 0) throw new Error(`a plan that cannot run: ${JSON.stringify(issues)}`);
    before.push(...appended.flat());
    phases = [...phases, ...appended.flat()];
  }
  return { ...run, report: Report.parse(run.outputs.get(last)) };
}

async function runTask(
  agent: Agent,
  model: Model,
  taskId: string,
  input: Json,
  run: Omit<WorkflowRun, "report">,
): Promise<PhaseRequest[]> {
  const blobs = new Map<string, Uint8Array>();
  const entries: JournalEntry[] = [];
  const { ctx, artifacts } = createContext({
    task: { tenant: "t", workflowId: "wf_00_test", taskId, agent: agent.type, input, attempt: 1, claim: 1, epoch: 1 },
    agent,
    model,
    circuits: noCircuits,
    limits: noModelLimits,
    tracer: noTracer,
    loopLimit: 8,
    blobs: memoryBlobs(blobs),
    journal: {
      load: async () => entries,
      record: async (entry) => void entries.push(entry),
      intend: async (entry) => void entries.push(entry),
      conclude: async (entry) => void entries.push(entry),
      withdraw: async () => {},
      hold: async () => "held",
      share: async () => undefined,
      release: async () => {},
      progress: async (message) => void run.messages.push(message),
    },
    signal: new AbortController().signal,
  });
  const result = await agent.run(ctx, agent.input.parse(input));
  run.outputs.set(taskId, JSON.parse(JSON.stringify(agent.output.parse(result.output))));
  for (const { name, sha256 } of await artifacts()) {
    run.artifacts.set(name, Buffer.from(blobs.get(sha256) ?? []).toString("utf8"));
  }
  return result.append ?? [];
}

function memoryBlobs(blobs: Map<string, Uint8Array>): BlobStore {
  return {
    async put(content) {
      const chunks: Uint8Array[] = [];
      if (content instanceof Uint8Array) chunks.push(content);
      else for await (const chunk of content) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      blobs.set(sha256, bytes);
      return { sha256, bytes: bytes.byteLength };
    },
    async get(sha256) {
      const bytes = blobs.get(sha256);
      return (
        bytes &&
        (async function* () {
          yield bytes;
        })()
      );
    },
  };
}

/** Strings that are exactly one template take its value; the built-in plan has no others. */
function resolveTemplates(value: Json, outputs: ReadonlyMap<string, Json>): Json {
  if (Array.isArray(value)) return value.map((item) => resolveTemplates(item, outputs));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolveTemplates(item, outputs)]));
  }
  const path = typeof value === "string" ? /^\{\{tasks\.([\w-]+)\.output\.?([\w.-]*)\}\}$/.exec(value) : null;
  if (!path) return value;
  let found: unknown = outputs.get(path[1] ?? "");
  for (const key of (path[2] ?? "").split(".").filter(Boolean)) found = Object(found)[key];
  return JSON.parse(JSON.stringify(found));
}
