import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { AgentType } from "@flotilla/workflow";
import { z } from "zod";
import type { Agent } from "./agent.ts";

const Schema = z.custom<z.ZodType>((value) => value instanceof z.ZodType, "is not a zod schema");
const isFunction = (value: unknown) => typeof value === "function";

/** What a module must export as `agent`. */
const AgentModule = z.object({
  agent: z.strictObject({
    type: AgentType,
    description: z.string().min(1),
    input: Schema,
    output: Schema,
    tools: z.custom<NonNullable<Agent["tools"]>>(isFunction, "is not a function").exactOptional(),
    mayPlan: z.boolean().exactOptional(),
    run: z.custom<Agent["run"]>(isFunction, "is not a function"),
  }),
});

/** A module that cannot be used as an agent; the message names its file and says all that is wrong. */
export class AgentModuleError extends Error {
  readonly file: string;

  constructor(file: string, problem: string, options?: ErrorOptions) {
    super(`${file} is not an agent module: ${problem}`, options);
    this.name = "AgentModuleError";
    this.file = file;
  }
}

/**
 * The agents in `folder`: one for each `.ts`, `.mts`, `.js` and `.mjs` file in it, in the order of the names of the
 * files. Throws `AgentModuleError` at the first that does not load, is no agent, or has a type that is taken by another
 * or by one of `known`.
 */
export async function loadAgents(folder: string, known: readonly Agent[] = []): Promise<Agent[]> {
  const takenBy = new Map(known.map((agent) => [agent.type, "a built-in agent"]));
  const agents: Agent[] = [];
  for (const name of (await readdir(folder)).filter(isModule).toSorted()) {
    const file = join(folder, name);
    const agent = await loadAgent(file);
    const owner = takenBy.get(agent.type);
    if (owner) throw new AgentModuleError(file, `the type ${agent.type} is taken by ${owner}`);
    takenBy.set(agent.type, file);
    agents.push(agent);
  }
  return agents;
}

function isModule(name: string): boolean {
  return /\.m?[jt]s$/.test(name) && !/\.(d|test)\.m?[jt]s$/.test(name);
}

async function loadAgent(file: string): Promise<Agent> {
  let loaded: unknown;
  try {
    loaded = await import(pathToFileURL(file).href);
  } catch (error) {
    throw new AgentModuleError(file, error instanceof Error ? error.message : String(error), { cause: error });
  }
  // A module is not a plain object, which is what zod takes apart.
  const parsed = AgentModule.safeParse({ ...(loaded as object) });
  if (parsed.success) return parsed.data.agent;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`);
  throw new AgentModuleError(file, problems.join("; "), { cause: parsed.error });
}
