import { join } from "node:path";
import type { RedisServer, Say } from "./choice.ts";
import { fetchServer, unpackedBelow } from "./fetch-server.ts";
import { probeServers, probeUnpacked, serverNames } from "./probe-server.ts";

/** Where a server may come from. */
export interface ServerSearch {
  /** The `.flotilla` directory: a server lies in it, in its `bin`, or was fetched into it. */
  root: string;
  /** Whether a missing server may be fetched from the distribution. */
  fetch: boolean;
  /** Told what was passed over, and why. */
  say: Say;
}

/** A real server to run: from PATH, from `root`, else fetched if that is allowed. Undefined when none can be had. */
export async function findServer({ root, fetch, say }: ServerSearch): Promise<RedisServer | undefined> {
  const places = ["", root, join(root, "bin")];
  const found =
    (await probeServers(
      places.flatMap((place) => serverNames.map((name) => (place ? join(place, name) : name))),
      say,
    )) ?? (await probeUnpacked(unpackedBelow(root), say));
  return found ?? (fetch ? fetchServer(root, say) : undefined);
}
