import type { DeadLetter } from "@flotilla/workflow";
import { Option } from "commander";
import { z } from "zod";
import type { CommandHost } from "../action.ts";
import { addConnectionOptions, connectFleet, connectionOptions } from "../connect.ts";
import { exitCode } from "../exit.ts";

const limitAdvice = "--limit takes a number from 1 to 200";

/** Adds `intake`: what the intakes of streams have refused. */
export function addIntake({ parent, act }: CommandHost): void {
  const command = parent
    .command("intake")
    .description("list messages of intake streams that were refused, newest first; needs the key of an operator")
    .addOption(new Option("--limit <n>", "how many, at most 200").default("50"));
  const options = z.object({
    ...connectionOptions,
    limit: z.coerce.number(limitAdvice).int(limitAdvice).min(1, limitAdvice).max(200, limitAdvice),
  });
  act(addConnectionOptions(command), options, async ({ options, config, terminal }) => {
    const client = await connectFleet(options, config, "operator");
    const deadLetters = await client.deadLetters({ limit: options.limit, signal: terminal.interrupted });
    if (terminal.json) terminal.emit({ deadLetters });
    else {
      for (const letter of deadLetters) for (const line of describe(letter)) terminal.say(line);
      if (deadLetters.length === 0) terminal.note("no message was refused");
    }
    return exitCode.done;
  });
}

function describe({ stream, partition, offset, tenant, at, code, detail, errors, text }: DeadLetter): string[] {
  return [
    `${stream} ${partition}:${offset}  ${at}  ${tenant}  ${code}: ${detail}`,
    ...errors.map(({ path, message }) => `  ${path || "/"} ${message}`),
    `  ${JSON.stringify(text.slice(0, 200))}`,
  ];
}
