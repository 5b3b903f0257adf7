/** A Redis that somebody else runs. */
export interface RedisAtUrl {
  kind: "url";
  url: string;
}

/** A `redis-server` or `valkey-server` of this machine that has been seen to run. */
export interface RedisServer {
  kind: "server";
  /** A path, or a bare name to be found on PATH. */
  binary: string;
  /** Where the shared libraries of a fetched server lie, as LD_LIBRARY_PATH has it. */
  libraryPath?: string;
  version: string;
}

/** The in-memory stand-in: nothing that it is told survives it. */
export interface RedisInMemory {
  kind: "memory";
}

/** A Redis that this process can run for itself. */
export type LocalRedis = RedisServer | RedisInMemory;

/** Which Redis a fleet uses. */
export type RedisChoice = RedisAtUrl | LocalRedis;

/** Why there is no Redis to use: `unreachable` is exit code 69, `missing` is 78. */
export type RedisSetupCode = "redis-unreachable" | "redis-missing";

/** No Redis can be used, and what an operator does about it. */
export class RedisSetupError extends Error {
  readonly code: RedisSetupCode;

  constructor(code: RedisSetupCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RedisSetupError";
    this.code = code;
  }
}

/** Takes one line for a person, without its line end. */
export type Say = (line: string) => void;
