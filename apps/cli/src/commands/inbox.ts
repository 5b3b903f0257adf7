import type { ItemView, Json, PlanToApprove } from "@flotilla/workflow";
import { ItemDecision, ItemKind } from "@flotilla/workflow";
import { type Command, Option } from "commander";
import { z } from "zod";
import type { CommandHost } from "../action.ts";
import { addConnectionOptions, connectFleet, connectionOptions } from "../connect.ts";
import { exitCode } from "../exit.ts";
import { jsonFrom, readPlan } from "../request.ts";

/** Adds the commands for what waits for a person: `inbox`, `approve`, `deny` and `settle`. */
export function addInboxCommands(host: CommandHost): void {
  addInbox(host);
  const approve = host.parent.command("approve");
  addWord(
    host,
    approve,
    "approve",
    "let a task do what it asks approval for, or a plan run, exactly as `flotilla inbox` shows it",
  );
  const deny = host.parent.command("deny");
  addWord(host, deny, "deny", "refuse a task what it asks approval for: it fails; or a plan: its workflow is aborted");
  addSettle(host);
}

const limitAdvice = "--limit takes a number from 1 to 200";

function addInbox({ parent, act }: CommandHost): void {
  const command = parent
    .command("inbox")
    .description("list what waits for a person, newest first")
    .addOption(new Option("--kind <kind>", "only items of this kind").choices(ItemKind.options))
    .addOption(new Option("--workflow <id>", "only items of this workflow"))
    .addOption(new Option("--limit <n>", "how many, at most 200").default("50"))
    .addOption(new Option("--cursor <cursor>", "go on where an earlier list ended"));
  const options = z.object({
    ...connectionOptions,
    kind: ItemKind.exactOptional(),
    workflow: z.string().exactOptional(),
    limit: z.coerce.number(limitAdvice).int(limitAdvice).min(1, limitAdvice).max(200, limitAdvice),
    cursor: z.string().exactOptional(),
  });
  act(addConnectionOptions(command), options, async ({ options, config, terminal }) => {
    const client = await connectFleet(options, config);
    const { kind, workflow, limit, cursor } = options;
    const page = await client.inbox({
      limit,
      signal: terminal.interrupted,
      ...(kind !== undefined && { kind }),
      ...(workflow !== undefined && { workflowId: workflow }),
      ...(cursor !== undefined && { cursor }),
    });
    if (terminal.json) terminal.emit(page);
    else {
      for (const item of page.items) for (const line of describeItem(item)) terminal.say(line);
      if (page.items.length === 0) terminal.note("nothing waits for a person");
      if (page.cursor !== undefined) terminal.note(`more with --cursor ${page.cursor}`);
    }
    return exitCode.done;
  });
}

function addWord({ act }: CommandHost, word: Command, decision: "approve" | "deny", description: string): void {
  const command = word
    .description(description)
    .argument("<item>", "of the inbox")
    .addOption(new Option("--reason <text>", "kept in the log of the workflow"));
  const options = z.object({ ...connectionOptions, reason: z.string().exactOptional() });
  act(addConnectionOptions(command), options, async ({ options, config, terminal }, item = "") => {
    const { reason } = options;
    const client = await connectFleet(options, config);
    const verdict = { decision, ...(reason !== undefined && { reason }) };
    const settled = await client.settle(item, verdict, { signal: terminal.interrupted });
    if (terminal.json) terminal.emit(settled);
    else terminal.say(`${settled.id}  ${settled.decision}`);
    return exitCode.done;
  });
}

function addSettle({ parent, act }: CommandHost): void {
  const command = parent
    .command("settle")
    .description("say how an item of the inbox is to be settled")
    .argument("<item>", "of the inbox")
    .addOption(
      new Option("--decision <decision>", "one of those that the item names")
        .choices(ItemDecision.options)
        .makeOptionMandatory(),
    )
    .addOption(new Option("--reason <text>", "kept in the log of the workflow"))
    .addOption(new Option("--result <json>", "with `happened`: what the effect gave"))
    .addOption(new Option("--edit <json>", "with `edit`: what may be done in place of what was asked"))
    .addOption(
      new Option("--plan <file>", "with `edit` of a plan: JSON file with the one to run").conflicts(["edit", "result"]),
    );
  const options = z.object({
    ...connectionOptions,
    decision: ItemDecision,
    reason: z.string().exactOptional(),
    result: z.string().exactOptional(),
    edit: z.string().exactOptional(),
    plan: z.string().exactOptional(),
  });
  act(addConnectionOptions(command), options, async ({ options, config, terminal }, item = "") => {
    const { decision, reason } = options;
    const result = options.result === undefined ? {} : { result: jsonFrom("--result", options.result) };
    const edit = await editFrom(options);
    const client = await connectFleet(options, config);
    const verdict = { decision, ...(reason !== undefined && { reason }), ...result, ...edit };
    const settled = await client.settle(item, verdict, { signal: terminal.interrupted });
    if (terminal.json) terminal.emit(settled);
    else terminal.say(`${settled.id}  ${settled.decision}`);
    return exitCode.done;
  });
}

/** What a person puts in the place of what was asked, where they do. Throws with 2 where it cannot be read. */
async function editFrom({ edit, plan }: { edit?: string; plan?: string }): Promise<{ edit?: Json }> {
  if (edit !== undefined) return { edit: jsonFrom("--edit", edit) };
  // Parsed from JSON, and no more than that.
  return plan === undefined ? {} : { edit: (await readPlan(plan)) as unknown as Json };
}

function describeItem({ id, kind, summary, decisions, openedAt, expiresAt, detail }: ItemView): string[] {
  return [
    `${id}  ${kind}  ${openedAt}${expiresAt === undefined ? "" : `, expires ${expiresAt}`}`,
    `  ${summary}`,
    ...("key" in detail ? [`  key ${detail.key}`] : []),
    ...("tasks" in detail ? describePlan(detail) : []),
    ...("arguments" in detail ? [`  arguments ${JSON.stringify(detail.arguments)}`] : []),
    `  settle with --decision ${decisions.join(" | ")}`,
  ];
}

/** A line for each task; of a plan that an item does not show whole, where it stands. */
function describePlan({ by, phases, phasesBytes }: PlanToApprove): string[] {
  if (!phases) {
    const where = by === "request" ? "`flotilla get`" : `\`flotilla events\`, where ${by} is completed`;
    return [`  ${phasesBytes} bytes of JSON: see ${where}`];
  }
  return phases.flatMap(({ name, tasks }) =>
    tasks.map(({ id, agent, input }) => `  ${name}/${id}  ${agent}  ${JSON.stringify(input)}`),
  );
}
