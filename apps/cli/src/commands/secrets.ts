import { z } from "zod";
import type { CommandHost } from "../action.ts";
import { addConnectionOptions, connectFleet, connectionOptions } from "../connect.ts";
import { exitCode } from "../exit.ts";

/** Adds `secrets`. */
export function addSecrets({ parent, act }: CommandHost): void {
  const command = parent
    .command("secrets")
    .description("print the secrets by which receivers know that a callback is from this fleet");
  act(addConnectionOptions(command), z.object(connectionOptions), async ({ options, config, terminal }) => {
    const client = await connectFleet(options, config);
    const secrets = await client.callbackSecrets({ signal: terminal.interrupted });
    if (terminal.json) terminal.emit({ secrets });
    else for (const secret of secrets) terminal.say(secret);
    return exitCode.done;
  });
}
