import type { ScheduleSummary } from "@flotilla/workflow";
import { Option } from "commander";
import { z } from "zod";
import type { CommandHost } from "../action.ts";
import { addConnectionOptions, connectFleet, connectionOptions } from "../connect.ts";
import { exitCode } from "../exit.ts";
import { addRequestOptions, requestFrom, requestOptions } from "../request.ts";

/** Adds `schedules create`, `schedules list` and `schedules delete`. */
export function addSchedules({ parent, act }: CommandHost): void {
  const schedules = parent.command("schedules").description("start workflows again and again");

  const create = schedules
    .command("create")
    .description("start a workflow at every slot of a cron expression, each once")
    .argument("<input>", "what is wanted: text, or a JSON object")
    .addOption(new Option("--cron <fields>", "minute, hour, day of month, month, day of week").makeOptionMandatory())
    .addOption(new Option("--time-zone <name>", "in which they are read").default("UTC"))
    .addOption(new Option("--idempotency-key <key>", "creating again under the same key gives the same schedule"));
  const createOptions = z.object({
    ...connectionOptions,
    ...requestOptions,
    cron: z.string(),
    timeZone: z.string(),
    idempotencyKey: z.string().exactOptional(),
  });
  act(addConnectionOptions(addRequestOptions(create)), createOptions, async (context, input = "") => {
    const { options, config, terminal } = context;
    const request = await requestFrom(input, options);
    const client = await connectFleet(options, config);
    const { cron, timeZone, idempotencyKey } = options;
    const call = { signal: terminal.interrupted, ...(idempotencyKey !== undefined && { idempotencyKey }) };
    const schedule = await client.schedule({ cron, timeZone, request }, call);
    if (terminal.json) terminal.emit(schedule);
    else terminal.say(describeSchedule(schedule));
    return exitCode.done;
  });

  const list = schedules.command("list").description("list schedules, oldest first");
  act(addConnectionOptions(list), z.object(connectionOptions), async ({ options, config, terminal }) => {
    const client = await connectFleet(options, config);
    for (const schedule of await client.schedules({ signal: terminal.interrupted })) {
      if (terminal.json) terminal.emit(schedule);
      else terminal.say(describeSchedule(schedule));
    }
    return exitCode.done;
  });

  const remove = schedules
    .command("delete")
    .description("start nothing more; what was started goes on")
    .argument("<id>", "of the schedule");
  act(addConnectionOptions(remove), z.object(connectionOptions), async ({ options, config, terminal }, id = "") => {
    const client = await connectFleet(options, config);
    await client.unschedule(id, { signal: terminal.interrupted });
    if (terminal.json) terminal.emit({ id, deleted: true });
    else terminal.say(`${id} is deleted`);
    return exitCode.done;
  });
}

function describeSchedule({ id, cron, timeZone, nextAt, last }: ScheduleSummary): string {
  const started = last ? `, last ${last.workflowId} for ${last.slot}` : "";
  return `${id}  ${cron}  ${timeZone}  next ${nextAt}${started}`;
}
