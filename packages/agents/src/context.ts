import {
  Artifact,
  type BlobStore,
  type Circuits,
  type ClaimedTask,
  type Journal,
  type Json,
  type ModelLimits,
  SignalName,
  TaskError,
} from "@flotilla/workflow";
import type { Tracer } from "@flotilla/runtime";
import type { ToolSet } from "ai";
import type { Agent, AgentContext } from "./agent.ts";
import type { Effect, EffectCall } from "./effect.ts";
import { Effects } from "./effects.ts";
import { generate } from "./generate.ts";
import { Guard } from "./guard.ts";
import { LoopGuard } from "./loop-guard.ts";
import type { Model } from "./models/model.ts";
import { patientBlobs } from "./patient-blobs.ts";
import { Purse } from "./purse.ts";
import { sharedState } from "./shared-state.ts";
import { Steps } from "./steps.ts";
import { tracedModel, tracedStep } from "./tracing.ts";
import { Waits } from "./waits.ts";

/** Longest word to watchers; the rest is cut off. */
const maxProgressLength = 1000;

const artifactNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

// Names that agents give to steps hold no `#`, so the runtime's own keys cannot meet theirs.
const stepNamePattern = /^[^#\p{Cc}]{1,200}$/u;
const artifactKey = "#artifact/";
const approvalKey = "#approval/";
const signalKey = "#signal/";
const handoffKey = "#handoff/";

/** One run of one task: its agent, the ports that it reaches the world through, and when to stop. */
export interface Run {
  task: ClaimedTask;
  agent: Agent;
  journal: Journal;
  blobs: BlobStore;
  model: Model;
  circuits: Circuits;
  limits: ModelLimits;
  signal: AbortSignal;
  /** How often the task may make one and the same call. */
  loopLimit: number;
  tracer: Tracer;
}

/** What a run is handed, and what is left of it when it has ended. */
export interface RunContext {
  ctx: AgentContext;
  effects: Effects;
  waits: Waits;
  /** The files that the task has made, in this run or in those that it replays. */
  artifacts(): Promise<Artifact[]>;
}

/** The context of a run. */
export function createContext(run: Run): RunContext {
  const { task, agent, journal, signal, tracer } = run;
  const model = tracedModel(run.model, tracer);
  const blobs = patientBlobs(run.blobs, signal);
  const { scope = "", revision } = task;
  const mayReplay = task.attempt > 1 || task.claim > 1;
  const steps = new Steps({ journal, blobs, signal, scope, revision: revision?.number ?? 0, mayReplay });
  const waits = new Waits(steps);
  const loops = new LoopGuard(run.loopLimit);
  const purse = new Purse({ journal, model, budget: task.budget, signal });
  const written = new Map<string, Artifact>();
  const { tenant, workflowId, taskId, attempt, claim, epoch } = task;
  const end = waits.postpone.bind(waits);
  const guard = new Guard({ circuits: run.circuits, limits: run.limits, agentType: agent.type, end });
  const effects = new Effects({ steps, journal, keyPrefix: `${workflowId}/${taskId}`, signal });

  const ctx: AgentContext = {
    tenant,
    workflowId,
    taskId,
    attempt,
    claim,
    epoch,
    signal,
    revision,
    modelName: model.name,

    async step(name, input, fn) {
      refuseReserved(name);
      return steps.run(steps.keyFor(name), input, (signal) => tracedStep(tracer, name, () => fn(signal)));
    },

    async effect<T extends Json>(
      name: string,
      input: Json,
      effect: Effect<T>,
      fn: (call: EffectCall) => Promise<T>,
    ): Promise<T> {
      refuseReserved(name);
      // What a person says that it gave is for the agent to make sense of.
      const attested = (word: Json) => word as T;
      const traced = (call: EffectCall) => tracedStep(tracer, name, () => fn(call));
      return effects.run({ step: steps.keyFor(name), tool: name, input, effect, run: traced, attested });
    },

    async approve(name, given, question) {
      refuseReserved(name);
      return waits.approve({ step: steps.keyFor(approvalKey + name), action: name }, given, question);
    },

    async awaitSignal(name) {
      if (!SignalName.safeParse(name).success) {
        const message = "a signal is named by 1 to 100 characters without #";
        throw new TaskError({ class: "data", code: "invalid-signal-name", message });
      }
      return waits.signal(steps.keyFor(signalKey + name), name);
    },

    state: sharedState({ steps, journal }),

    async handoff(to, payload) {
      const step = steps.keyFor(handoffKey + to);
      loops.pass(`a handoff to ${to}`, payload);
      return waits.handOver(step, to, payload);
    },

    generate: (generation) =>
      generate(
        {
          model,
          steps,
          purse,
          effects,
          waits,
          guard,
          revision,
          loops,
          signal,
          tracer,
          granted: () => grantedTools(agent.tools?.(ctx) ?? {}, task.grant),
        },
        generation,
      ),

    async writeArtifact(name, content, contentType) {
      if (!artifactNamePattern.test(name)) {
        throw new TaskError({
          class: "data",
          code: "invalid-artifact-name",
          message: "an artifact is named by 1 to 128 of A-Z a-z 0-9 . _ - and does not begin with . _ -",
        });
      }
      // A step of its own: written within a step that is replayed and so not run, it is still on record.
      const input = { name, contentType, ...(revision && { revision: revision.number }) };
      const artifact = await steps.run(steps.keyFor(artifactKey + name), input, async () => {
        const { sha256, bytes } = await blobs.put(Buffer.from(content), signal);
        return { name, contentType, bytes, sha256 };
      });
      written.set(name, artifact);
      return artifact;
    },

    progress: (message) => journal.progress(message.slice(0, maxProgressLength)),
  };

  return {
    ctx,
    effects,
    waits,
    async artifacts() {
      const replayed = (await steps.recorded(artifactKey)).map((record) => Artifact.parse(record));
      return [...new Map([...replayed.map((artifact) => [artifact.name, artifact] as const), ...written]).values()];
    },
  };
}

/** The tools of an agent that whoever handed the task over may use too. */
function grantedTools(tools: ToolSet, grant: ClaimedTask["grant"]): ToolSet {
  if (!grant) return tools;
  return Object.fromEntries(Object.entries(tools).filter(([name]) => grant.tools.includes(name)));
}

function refuseReserved(name: string): void {
  if (stepNamePattern.test(name)) return;
  throw new TaskError({
    class: "data",
    code: "invalid-step-name",
    message: "a step is named by 1 to 200 characters without #",
  });
}
