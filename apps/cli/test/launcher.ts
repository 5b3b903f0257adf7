import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../bin/flotilla.js", import.meta.url));

/** What a command said and how it ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

type Environment = Record<string, string | undefined>;

/** Makes Node claim to be older than the one that the CLI needs. */
const pretendOld = 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.19.0"})';

/** Arguments of Node with which the launcher finds itself under an old Node, and goes on under the pinned one. */
export const underOldNode = ["--import", pretendOld];

/** Starts `flotilla` through its launcher, free of what this machine's environment says of fleets. */
export function startFlotilla(
  args: string[],
  cwd: string,
  environment: Environment = {},
  nodeArgs: string[] = [],
): ChildProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(FLOTILLA|REDIS|OPENAI|OCI)_/.test(name));
  return spawn(process.execPath, [...nodeArgs, launcher, ...args], {
    cwd,
    env: { ...Object.fromEntries(inherited), FLOTILLA_FETCH: "0", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Starts `flotilla` as npm does, in a shell that does not pass signals on; that shell is the child. */
export function startUnderNpm(args: string[], cwd: string): ChildProcess {
  return spawn("sh", ["-c", '"$@"; exit $?', "sh", process.execPath, launcher, ...args], {
    cwd,
    env: { ...process.env, FLOTILLA_FETCH: "0", npm_execpath: "npm" },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Runs `flotilla` to its end. */
export async function flotilla(
  args: string[],
  cwd: string,
  environment?: Environment,
  nodeArgs?: string[],
): Promise<Ended> {
  const child = startFlotilla(args, cwd, environment, nodeArgs);
  const [stdout, stderr, [code]] = await Promise.all([read(child.stdout), read(child.stderr), once(child, "close")]);
  return { code, stdout, stderr };
}

function read(stream: ChildProcess["stdout"]): Promise<string> {
  return stream ? text(stream) : Promise.resolve("");
}
