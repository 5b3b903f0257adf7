import { appendFileSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { pathInWorkspace } from "./failpoints.ts";
import { instrument } from "./instrument.ts";

// For `--import`, before anything else: rewrites the sources that hold an armed failpoint as they are loaded, so that
// the code of production knows nothing of it. Types are stripped by Node afterwards, as ever.
const { FAILPOINTS = "", FAILPOINT_PASS = "1", FAILPOINT_LOG = "" } = process.env;
const left = new Map(FAILPOINTS.split("\n").map((name) => [name, Number(FAILPOINT_PASS)]));
const paths = new Set(Array.from(left.keys(), (name) => name.slice(0, name.indexOf(":"))));

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.startsWith("file:")) return loaded;
    const file = fileURLToPath(url);
    const path = pathInWorkspace(file);
    return paths.has(path) ? { ...loaded, source: instrument(path, readFileSync(file, "utf8")) } : loaded;
  },
});

Object.assign(globalThis, {
  passFailpoint(name: string, value: unknown) {
    const passes = left.get(name);
    if (passes === undefined) return value;
    if (passes > 1) left.set(name, passes - 1);
    else die(name);
    return value;
  },
});

/** As the kernel kills: nothing is flushed, nothing is handed back, and nothing happens after it. */
function die(name: string): never {
  appendFileSync(FAILPOINT_LOG, `${name}\n`);
  process.kill(process.pid, "SIGKILL");
  // The signal may be delivered a moment later.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
