import { type Client, createClient } from "@flotilla/client";
import type { CliConfig } from "./config.ts";
import { agentCounts } from "./local/agent-counts.ts";
import type { DataDir } from "./local/data-dir.ts";
import type { Lock } from "./local/lock.ts";
import { isGraceful, nameOf } from "./local/process-words.ts";
import type { Terminal } from "./terminal.ts";

/** A fleet for one call. */
export interface OwnFleet {
  dataDir: DataDir;
  lock: Lock;
  docsRoots: readonly string[];
  config: CliConfig;
  terminal: Terminal;
}

/** Starts a fleet of one process a type on a port of its own, does the work with it, and ends it. */
export async function withOwnFleet<T>(own: OwnFleet, work: (client: Client) => Promise<T>): Promise<T> {
  const { terminal, config } = own;
  terminal.note("starting a fleet for this call");
  let isUp = false;
  const { startLocalFleet } = await import("./local/local-fleet.ts");
  const fleet = await startLocalFleet({
    ...own,
    port: 0,
    agents: agentCounts(undefined, config.FLOTILLA_PROBE),
    probe: config.FLOTILLA_PROBE,
    observer: {
      started: () => {},
      exited: (name, _pid, exit) => {
        if (isUp && !isGraceful(exit))
          terminal.note(`${nameOf(name)} died (${exit.signal ?? exit.code}) and is started again`);
      },
    },
  });
  isUp = true;
  try {
    return await work(createClient({ url: fleet.url, apiKey: fleet.keys.apiKey }));
  } finally {
    await fleet.stop();
  }
}
