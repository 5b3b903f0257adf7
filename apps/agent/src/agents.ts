import { type Agent, AgentModuleError, builtinAgents, createProbe, loadAgents } from "@flotilla/agents";
import type { config } from "./config.ts";

/** Exit code of a process whose configuration is refused. */
const badConfiguration = 78;

/** The agent that `AGENT_TYPE` names, built in or from `FLOTILLA_AGENTS_DIR`; exits 78 with what there is if there is none. */
export async function findAgent(settings: typeof config): Promise<Agent> {
  const effectsFile = settings.FLOTILLA_PROBE_EFFECTS;
  const builtin: Agent[] = [
    ...builtinAgents({ docsRoots: settings.FLOTILLA_DOCS_ROOTS, dataDir: settings.FLOTILLA_DATA_DIR }),
    ...(settings.FLOTILLA_PROBE ? [createProbe(effectsFile)] : []),
  ];
  const folder = settings.FLOTILLA_AGENTS_DIR;
  let loaded: Agent[] = [];
  try {
    loaded = folder === undefined ? [] : await loadAgents(folder, builtin);
  } catch (error) {
    if (!(error instanceof AgentModuleError) && !isMissingFolder(error)) throw error;
    refuse(error.message);
  }
  const agents = [...builtin, ...loaded];
  const agent = agents.find(({ type }) => type === settings.AGENT_TYPE);
  if (agent) return agent;
  const known = agents.map(({ type }) => type).join(", ");
  return refuse(`no agent of type ${settings.AGENT_TYPE}: AGENT_TYPE may be one of ${known}`);
}

function isMissingFolder(error: unknown): error is Error {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function refuse(message: string): never {
  process.stderr.write(`bad configuration: ${message}\n`);
  process.exit(badConfiguration);
}
