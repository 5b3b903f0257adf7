import { type Client, ProblemError } from "@flotilla/client";
import { type EventView, FailedStatus, FailureClass, type FailureView, largestForkPlace } from "@flotilla/workflow";
import { type Command, Option } from "commander";
import { z } from "zod";
import type { CommandHost } from "../action.ts";
import { addConnectionOptions, connectFleet, connectionOptions } from "../connect.ts";
import { CliError, exitCode } from "../exit.ts";
import { inputFrom } from "../request.ts";
import type { Terminal } from "../terminal.ts";

/** Workflows that are retried at once. */
const retriedAtOnce = 8;

/** How often it says how far it is: after so many. */
const toldEvery = 100;

const pageSize = 50;
const unitsMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const limitAdvice = "--limit takes a number from 1 to 10000";

/** What selects failures. */
const filterOptions = {
  status: FailedStatus.exactOptional(),
  tag: z
    .string()
    .regex(/^[^=:]+[=:]./, "--tag takes key=value")
    .exactOptional(),
  class: FailureClass.exactOptional(),
  code: z.string().exactOptional(),
  agent: z.string().exactOptional(),
  since: z
    .string()
    .transform((text, context) => {
      const at = sinceOf(text);
      if (at !== undefined) return at;
      context.addIssue({
        code: "custom",
        message: "--since takes a time such as 2026-01-31T08:00Z, or an age such as 2h",
      });
      return z.NEVER;
    })
    .exactOptional(),
};
const limitOption = z.coerce.number(limitAdvice).int(limitAdvice).min(1, limitAdvice).max(10_000, limitAdvice);
type Filter = z.output<z.ZodObject<typeof filterOptions>>;

/** Adds `failures`, and `retry` of one workflow or of those that a filter selects. */
export function addFailedWork(host: CommandHost): void {
  addFailures(host);
  addRetry(host);
}

function addFilterOptions(command: Command): Command {
  return command
    .addOption(new Option("--status <status>", "only those of this status").choices(FailedStatus.options))
    .addOption(new Option("--tag <key=value>", "only those with this tag"))
    .addOption(new Option("--class <class>", "only failures of this class").choices(FailureClass.options))
    .addOption(new Option("--code <code>", "only failures with this code"))
    .addOption(new Option("--agent <type>", "only failures of tasks of this agent type"))
    .addOption(new Option("--since <time>", "only those that ended since: a time, or an age such as 30m, 2h, 1d"));
}

function addFailures({ parent, act }: CommandHost): void {
  const command = addFilterOptions(
    parent.command("failures").description("list what failed or was aborted, newest first, and why"),
  ).addOption(new Option("--limit <n>", "how many at most").default("20"));
  const options = z.object({ ...connectionOptions, ...filterOptions, limit: limitOption });
  act(addConnectionOptions(command), options, async ({ options, config, terminal }) => {
    const client = await connectFleet(options, config);
    for await (const failure of failuresOf(client, options, options.limit, terminal.interrupted)) {
      if (terminal.json) terminal.emit(failure);
      else for (const line of describeFailure(failure)) terminal.say(line);
    }
    return exitCode.done;
  });
}

function addRetry({ parent, act }: CommandHost): void {
  const command = addFilterOptions(
    parent
      .command("retry")
      .description("let workflows that failed or were aborted go on from what they have completed")
      .argument("[id]", "of one workflow; else a filter says which"),
  )
    .addOption(new Option("--limit <n>", "with a filter: how many at most").default("100"))
    .addOption(new Option("--dry-run", "with a filter: only list them"))
    .addOption(new Option("--input <input>", "of one: start a fork of it with this input instead, and print its id"))
    .addOption(new Option("--idempotency-key <key>", "of one: retrying again under the same key does nothing"));
  const options = z.object({
    ...connectionOptions,
    ...filterOptions,
    limit: limitOption,
    dryRun: z.boolean().default(false),
    input: z.string().exactOptional(),
    idempotencyKey: z.string().exactOptional(),
  });
  act(addConnectionOptions(command), options, async ({ options, config, terminal }, id = "") => {
    const { input, idempotencyKey } = options;
    const isFiltered = Object.keys(filterOptions).some((name) => name in options);
    if ((id !== "") === (isFiltered || options.dryRun))
      throw new CliError(exitCode.usage, "name one workflow, or say which failures: --status failed, for example");
    if (id === "" && (input !== undefined || idempotencyKey !== undefined))
      throw new CliError(exitCode.usage, "--input and --idempotency-key go with the id of one workflow");
    const client = await connectFleet(options, config);
    if (id === "") await retryAll(client, options, terminal);
    else {
      const call = { signal: terminal.interrupted, ...(idempotencyKey !== undefined && { idempotencyKey }) };
      const retried =
        input === undefined ? await client.retry(id, call) : await forkLast(client, id, inputFrom(input), call);
      if (terminal.json) terminal.emit(retried);
      else terminal.say(input === undefined ? retried.status : retried.id);
    }
    return exitCode.done;
  });
}

/** A new workflow with another input, from the last place that the old one has in common with it. */
async function forkLast(
  client: Client,
  id: string,
  input: ReturnType<typeof inputFrom>,
  call: { signal: AbortSignal },
) {
  const log: EventView[] = [];
  for await (const event of client.events(id, { signal: call.signal })) log.push(event);
  return client.fork(id, { fromSeq: largestForkPlace(log), input }, call);
}

async function retryAll(
  client: Client,
  options: Filter & { limit: number; dryRun: boolean },
  terminal: Terminal,
): Promise<void> {
  // Listed before the first is retried: what goes on leaves the list, and would move its pages.
  const wanted: FailureView[] = [];
  for await (const failure of failuresOf(client, options, options.limit, terminal.interrupted)) wanted.push(failure);
  if (options.dryRun) {
    for (const failure of wanted) {
      if (terminal.json) terminal.emit(failure);
      else terminal.say(headline(failure));
    }
    terminal.note(`${wanted.length} would be retried`);
    return;
  }
  let [done, skipped] = [0, 0];
  const left = [...wanted];
  const work = async () => {
    for (let failure = left.shift(); failure; failure = left.shift()) {
      const retried = await retryOne(client, failure, terminal.interrupted);
      if (!retried) skipped++;
      else if (terminal.json) terminal.emit(retried);
      else terminal.say(`${retried.id}  ${retried.status}`);
      if (++done % toldEvery === 0) terminal.note(`${done} of ${wanted.length}`);
    }
  };
  await Promise.all(Array.from({ length: retriedAtOnce }, work));
  terminal.note(`${done - skipped} retried${skipped > 0 ? `, ${skipped} could not be, or went on already` : ""}`);
}

/** Undefined for one that somebody else retried first, or that was undone. */
async function retryOne(client: Client, { id, endedAt }: FailureView, signal: AbortSignal) {
  try {
    // A key of this very failure: the same command again, after an interruption, retries nothing twice.
    return await client.retry(id, { idempotencyKey: `flotilla retry ${endedAt}`, signal });
  } catch (error) {
    if (error instanceof ProblemError && (error.code === "not-retryable" || error.code === "not-found"))
      return undefined;
    throw error;
  }
}

async function* failuresOf(
  client: Client,
  filter: Filter,
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<FailureView> {
  const { status, tag } = filter;
  const [, key = "", value = ""] = /^([^=:]+)[=:](.*)$/.exec(tag ?? "") ?? [];
  const query = {
    limit: pageSize,
    signal,
    ...(status !== undefined && { status }),
    ...(tag !== undefined && { tag: { key, value } }),
  };
  let given = 0;
  let cursor: string | undefined;
  do {
    const page = await client.failures({ ...query, ...(cursor !== undefined && { cursor }) });
    for (const failure of page.failures) {
      if (!isWanted(failure, filter)) continue;
      yield failure;
      if (++given >= limit) return;
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
}

function isWanted({ error, task, endedAt }: FailureView, filter: Filter): boolean {
  const { class: wanted, code, agent, since } = filter;
  if (wanted !== undefined && error.class !== wanted) return false;
  if (code !== undefined && error.code !== code) return false;
  if (agent !== undefined && task?.agent !== agent) return false;
  // The list is in the order of their beginnings, so none of it can be left unread.
  return since === undefined || Date.parse(endedAt) >= since;
}

/** Ms since the epoch; an age counts back from now. */
function sinceOf(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  // The pattern lets no other unit pass.
  if (amount !== undefined) return Date.now() - Number(amount) * unitsMs[unit as keyof typeof unitsMs];
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}

function headline({ id, status, endedAt, error, task }: FailureView): string {
  const place = task ? `${task.phase}/${task.id}  ${task.agent}  ` : "";
  return `${id}  ${status}  ${endedAt}  ${place}${error.class}/${error.code}: ${error.message}`;
}

function describeFailure(failure: FailureView): string[] {
  const { task, events } = failure;
  return [
    headline(failure),
    ...(task ? [`  ${task.attempts} attempts, input ${JSON.stringify(task.input).slice(0, 200)}`] : []),
    ...events.map(({ seq, at, type, data }) => `  ${String(seq).padStart(5)}  ${at}  ${type}  ${shown(data)}`),
  ];
}

function shown(data: unknown): string {
  return JSON.stringify(data).slice(0, 200);
}
