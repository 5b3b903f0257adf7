import { readFile } from "node:fs/promises";
import type { Client, WorkflowRequestInput } from "@flotilla/client";
import type { WorkflowView } from "@flotilla/workflow";
import { type ExitCode, exitCode, InterruptedError } from "./exit.ts";
import type { DataDir } from "./local/data-dir.ts";
import { type SavedArtifact, saveArtifacts } from "./reports.ts";
import type { Terminal } from "./terminal.ts";
import { notableWaits } from "./view/waits.ts";
import { type Watch, watch } from "./view/watch.ts";

/** How often it is asked what tasks wait for, in ms. */
const askEveryMs = 2000;

/** One workflow from its request to its printed result. */
export interface Conversation {
  client: Client;
  request: WorkflowRequestInput;
  /** Holds the reports. */
  dataDir: DataDir;
  /** How an interrupted workflow goes on, in words. */
  goesOn: string;
  terminal: Terminal;
}

/** Submits, follows, prints the result and where its files are. An interrupt prints the id and leaves the workflow be. */
export async function converse({ client, request, dataDir, goesOn, terminal }: Conversation): Promise<ExitCode> {
  const { id } = await client.submit(request, { signal: terminal.interrupted });
  terminal.note(id);
  try {
    const view = await followToEnd(client, id, terminal);
    const artifacts = await saveArtifacts(client, id, dataDir.reports(id));
    await printResult(view, artifacts, terminal);
    return view.status === "completed" ? exitCode.done : exitCode.failed;
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    if (terminal.json) terminal.emit({ event: "interrupted", id });
    else terminal.say(id);
    terminal.note(`interrupted: ${goesOn}`);
    return exitCode.interrupted;
  }
}

async function followToEnd(client: Client, id: string, terminal: Terminal): Promise<WorkflowView> {
  const signal = terminal.interrupted;
  const watching = watch(terminal);
  // A program reads the log, and asks why nothing goes on when it wants to know.
  const asking = terminal.json ? undefined : setInterval(() => void tellWaits(client, id, watching), askEveryMs);
  try {
    for await (const event of client.events(id, { follow: true, signal })) watching.event(event);
  } finally {
    clearInterval(asking);
    watching.end();
  }
  return client.get(id, { signal });
}

/** Says what tasks wait for; where nobody answers, the stream of events will say so. */
async function tellWaits(client: Client, id: string, watching: Watch): Promise<void> {
  const signal = AbortSignal.timeout(askEveryMs);
  const both = Promise.all([client.get(id, { signal }), client.agents({ signal })]);
  const [workflow, agents] = await both.catch(() => []);
  if (workflow && agents) watching.waits(notableWaits(workflow, agents, Date.now()));
}

async function printResult(view: WorkflowView, artifacts: SavedArtifact[], terminal: Terminal): Promise<void> {
  if (terminal.json) return terminal.emit({ event: "result", ...view, artifacts });
  if (view.error) terminal.note(`the workflow ${view.status}: ${view.error.message} (${view.error.code})`);
  else if (view.status !== "completed") terminal.note(`the workflow was ${view.status}`);

  const report = artifacts.find(({ name }) => name === "report.md");
  if (report) terminal.say(`\n${(await readFile(report.path, "utf8")).trimEnd()}\n`);
  else if (view.result !== undefined) {
    terminal.say(typeof view.result === "string" ? view.result : JSON.stringify(view.result, undefined, 2));
  }
  for (const { path } of artifacts) terminal.say(path);
}
