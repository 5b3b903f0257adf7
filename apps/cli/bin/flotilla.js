#!/usr/bin/env node
// Plain JavaScript for whatever Node the machine has: the CLI itself is TypeScript, run by the workspace's own Node 24.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const neededMajor = 24;

// npm that is ended takes the shell between it and us along, and tells us nothing; without npm, whose child we are is
// nobody's business.
if ("npm_execpath" in process.env) {
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && process.kill(process.pid, "SIGTERM"), 250).unref();
}

if (Number.parseInt(process.versions.node, 10) >= neededMajor) {
  await import(main);
} else {
  const node = pinnedNode();
  if (node) runUnder(node);
  else {
    console.error(
      `flotilla needs Node ${neededMajor} and this is ${process.version}: run npm ci without --omit=optional, or install Node ${neededMajor}`,
    );
    process.exitCode = 78;
  }
}

function pinnedNode() {
  const name = `node-${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), "bin", "node");
  } catch {
    return undefined;
  }
}

/** Stands in for the CLI: its signals, its exit. The IPC channel tells it when this process is killed. */
function runUnder(node) {
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: ["inherit", "inherit", "inherit", "ipc"] });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`flotilla cannot run ${node}: ${error.message}`);
    process.exitCode = 78;
  });
  child.on("exit", (code, signal) => {
    // As a shell has it; ending by the same signal would need the handlers above to be gone.
    process.exitCode = code ?? 128 + (signal ? constants.signals[signal] : 0);
    // Else the channel, whose other end is gone, may keep this process for a moment.
    if (child.connected) child.disconnect();
  });
}
