import { Option } from "commander";
import { z } from "zod";
import type { CommandHost } from "../action.ts";
import { addConnectionOptions, connectFleet, connectionOptions } from "../connect.ts";
import { exitCode } from "../exit.ts";
import { inputFrom, jsonFrom } from "../request.ts";

/** Adds the commands that go on from what a workflow has done, or tell it something: `fork` and `signal`. */
export function addHistoryCommands(host: CommandHost): void {
  addFork(host);
  addSignal(host);
}

const keyOption = (effect: string) => new Option("--idempotency-key <key>", effect);

function addSignal({ parent, act }: CommandHost): void {
  const command = parent
    .command("signal")
    .description("tell a workflow something that its tasks wait for, or will wait for")
    .argument("<id>", "of the workflow")
    .addOption(new Option("--name <name>", "of the signal").makeOptionMandatory())
    .addOption(new Option("--data <json>", "for the tasks that wait for it"))
    .addOption(keyOption("sending it again under the same key does nothing"));
  const options = z.object({
    ...connectionOptions,
    name: z.string(),
    data: z.string().exactOptional(),
    idempotencyKey: z.string().exactOptional(),
  });
  act(addConnectionOptions(command), options, async ({ options, config, terminal }, id = "") => {
    const { name, idempotencyKey } = options;
    const data = options.data === undefined ? {} : { data: jsonFrom("--data", options.data) };
    const client = await connectFleet(options, config);
    const call = { signal: terminal.interrupted, ...(idempotencyKey !== undefined && { idempotencyKey }) };
    const told = await client.signal(id, { name, ...data }, call);
    if (terminal.json) terminal.emit(told);
    else terminal.say(told.status);
    return exitCode.done;
  });
}

function addFork({ parent, act }: CommandHost): void {
  const command = parent
    .command("fork")
    .description("start a new workflow that shares the events of another, and print its id")
    .argument("<id>", "of the workflow to fork")
    .addOption(new Option("--from <seq>", "the last event to share, see `flotilla events`").makeOptionMandatory())
    .addOption(new Option("--input <input>", "what is wanted instead: text, or a JSON object"))
    .addOption(keyOption("forking again under the same key gives the same workflow"));
  const advice = "--from takes the number of an event, from 1";
  const options = z.object({
    ...connectionOptions,
    from: z.coerce.number(advice).int(advice).min(1, advice),
    input: z.string().exactOptional(),
    idempotencyKey: z.string().exactOptional(),
  });
  act(addConnectionOptions(command), options, async ({ options, config, terminal }, id = "") => {
    const { from: fromSeq, input, idempotencyKey } = options;
    const fork = input === undefined ? { fromSeq } : { fromSeq, input: inputFrom(input) };
    const client = await connectFleet(options, config);
    const call = { signal: terminal.interrupted, ...(idempotencyKey !== undefined && { idempotencyKey }) };
    const forked = await client.fork(id, fork, call);
    if (terminal.json) terminal.emit(forked);
    else terminal.say(forked.id);
    return exitCode.done;
  });
}
