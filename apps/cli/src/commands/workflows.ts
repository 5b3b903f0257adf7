import { hasEnded } from "@flotilla/client";
import type { AgentView, EventView, WorkflowView } from "@flotilla/workflow";
import { WorkflowStatus } from "@flotilla/workflow";
import { Option } from "commander";
import { z } from "zod";
import type { CommandHost } from "../action.ts";
import { addConnectionOptions, connectFleet, connectionOptions } from "../connect.ts";
import { exitCode } from "../exit.ts";
import { waitWords } from "../view/waits.ts";
import { addRequestOptions, requestFrom, requestOptions } from "../request.ts";

/** Adds the commands that are calls of the API: `submit`, `list`, `get`, `events`, `cancel`. */
export function addWorkflowCommands(host: CommandHost): void {
  addSubmit(host);
  addList(host);
  addGet(host);
  addEvents(host);
  addCancel(host);
}

function addSubmit({ parent, act }: CommandHost): void {
  const command = parent
    .command("submit")
    .description("submit a request and print the id of its workflow")
    .argument("<input>", "what is wanted: text, or a JSON object")
    .addOption(new Option("--idempotency-key <key>", "submitting again under the same key gives the same workflow"));
  const options = z.object({ ...connectionOptions, ...requestOptions, idempotencyKey: z.string().exactOptional() });
  act(addConnectionOptions(addRequestOptions(command)), options, async ({ options, config, terminal }, input = "") => {
    const request = await requestFrom(input, options);
    const client = await connectFleet(options, config);
    const { idempotencyKey } = options;
    const call = { signal: terminal.interrupted, ...(idempotencyKey !== undefined && { idempotencyKey }) };
    const submitted = await client.submit(request, call);
    if (terminal.json) terminal.emit(submitted);
    else terminal.say(submitted.id);
    return exitCode.done;
  });
}

const limitAdvice = "--limit takes a number from 1 to 200";

function addList({ parent, act }: CommandHost): void {
  const command = parent
    .command("list")
    .description("list workflows, newest first")
    .addOption(new Option("--status <status>", "only those of this status").choices(WorkflowStatus.options))
    .addOption(new Option("--tag <key=value>", "only those with this tag"))
    .addOption(new Option("--limit <n>", "how many, at most 200").default("50"))
    .addOption(new Option("--cursor <cursor>", "go on where an earlier list ended"));
  const options = z.object({
    ...connectionOptions,
    status: WorkflowStatus.exactOptional(),
    tag: z
      .string()
      .regex(/^[^=:]+[=:]./, "--tag takes key=value")
      .exactOptional(),
    limit: z.coerce.number(limitAdvice).int(limitAdvice).min(1, limitAdvice).max(200, limitAdvice),
    cursor: z.string().exactOptional(),
  });
  act(addConnectionOptions(command), options, async ({ options, config, terminal }) => {
    const client = await connectFleet(options, config);
    const { status, tag, limit, cursor } = options;
    const [, key = "", value = ""] = /^([^=:]+)[=:](.*)$/.exec(tag ?? "") ?? [];
    const page = await client.list({
      limit,
      signal: terminal.interrupted,
      ...(status !== undefined && { status }),
      ...(tag !== undefined && { tag: { key, value } }),
      ...(cursor !== undefined && { cursor }),
    });
    if (terminal.json) terminal.emit(page);
    else {
      for (const { id, status, createdAt } of page.workflows) terminal.say(`${id}  ${status.padEnd(10)} ${createdAt}`);
      if (page.cursor !== undefined) terminal.note(`more with --cursor ${page.cursor}`);
    }
    return exitCode.done;
  });
}

function addGet({ parent, act }: CommandHost): void {
  const command = parent.command("get").description("show a workflow").argument("<id>", "of the workflow");
  act(addConnectionOptions(command), z.object(connectionOptions), async ({ options, config, terminal }, id = "") => {
    const client = await connectFleet(options, config);
    const view = await client.get(id, { signal: terminal.interrupted });
    if (terminal.json) {
      terminal.emit(view);
      return exitCode.done;
    }
    const agents = view.tasks.some(({ waitingFor }) => waitingFor?.reason === "worker")
      ? await client.agents({ signal: terminal.interrupted })
      : [];
    for (const line of describeWorkflow(view, agents)) terminal.say(line);
    return exitCode.done;
  });
}

function addEvents({ parent, act }: CommandHost): void {
  const command = parent
    .command("events")
    .description("print the log of a workflow")
    .argument("<id>", "of the workflow")
    .addOption(new Option("--after <seq>", "only events after this one").default("0"))
    .addOption(new Option("--follow", "stay until its last event"));
  const advice = "--after takes the number of an event";
  const options = z.object({
    ...connectionOptions,
    after: z.coerce.number(advice).int(advice).min(0, advice),
    follow: z.boolean().default(false),
  });
  act(addConnectionOptions(command), options, async ({ options, config, terminal }, id = "") => {
    const client = await connectFleet(options, config);
    const { after, follow } = options;
    for await (const event of client.events(id, { after, follow, signal: terminal.interrupted })) {
      if (terminal.json) terminal.emit(event);
      else terminal.say(describeEvent(event));
    }
    return exitCode.done;
  });
}

function addCancel({ parent, act }: CommandHost): void {
  const command = parent
    .command("cancel")
    .description("cancel a workflow; one that has ended stays as it is")
    .argument("<id>", "of the workflow")
    .addOption(new Option("--reason <text>", "kept in its log"))
    .addOption(new Option("--compensate", "undo first what it has done"));
  const options = z.object({
    ...connectionOptions,
    reason: z.string().exactOptional(),
    compensate: z.boolean().exactOptional(),
  });
  act(addConnectionOptions(command), options, async ({ options, config, terminal }, id = "") => {
    const client = await connectFleet(options, config);
    const { reason, compensate } = options;
    const call = {
      signal: terminal.interrupted,
      ...(reason !== undefined && { reason }),
      ...(compensate !== undefined && { compensate }),
    };
    const status = await client.cancel(id, call);
    if (terminal.json) terminal.emit({ id, status });
    else terminal.say(hasEnded(status) ? status : `${status}, cancel requested`);
    return exitCode.done;
  });
}

function describeWorkflow(view: WorkflowView, agents: readonly AgentView[]): string[] {
  const { id, status, createdAt, endedAt, tasks, error, result, cost } = view;
  const { input, output } = cost.tokens;
  return [
    `${id}  ${status}`,
    `created ${createdAt}${endedAt === undefined ? "" : `, ended ${endedAt}`}`,
    ...(input + output > 0 ? [`spent ${cost.usd} dollars for ${input} tokens in and ${output} out`] : []),
    ...tasks.map((task) => {
      const words = waitWords(task, view, agents);
      const waiting = words === undefined ? "" : `, ${words}`;
      const failure = task.error ? `: ${task.error.message} (${task.error.code})` : "";
      return `  ${task.phase}/${task.id}  ${task.agent}  ${task.status}${waiting}${failure}`;
    }),
    ...(error ? [`error ${error.message} (${error.code})`] : []),
    ...(result === undefined ? [] : [`result ${JSON.stringify(result, undefined, 2)}`]),
  ];
}

function describeEvent({ seq, at, type, taskId, data }: EventView): string {
  return `${String(seq).padStart(5)}  ${at}  ${type}${taskId === undefined ? "" : ` ${taskId}`}  ${JSON.stringify(data)}`;
}
