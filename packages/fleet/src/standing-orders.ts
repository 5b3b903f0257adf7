import type { Logger } from "@flotilla/runtime";
import { fleetTag } from "./keys.ts";
import type { Scripts } from "./scripts.ts";

/** How often a worker reads its orders, in ms. */
const readEveryMs = 500;

export interface StandingOrdersDeps {
  scripts: Scripts;
  agentType: string;
  /** Told when its agent type is paused, and when it is resumed. */
  onPause(isPaused: boolean): void;
  logger: Logger;
}

/**
 * What an operator has said that holds for the workers of an agent type, as Redis keeps it. Each worker reads it for
 * itself: while Redis is away the last word holds, and one that begins has it before it takes its first task.
 */
export class StandingOrders {
  readonly #deps: StandingOrdersDeps;
  #timer: NodeJS.Timeout | undefined;
  #isReading = false;
  #isPaused = false;

  constructor(deps: StandingOrdersDeps) {
    this.#deps = deps;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Goes on reading until `stop`. */
  start(): void {
    this.#timer = setInterval(() => void this.#readAgain(), readEveryMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async read(): Promise<void> {
    const { scripts, agentType, onPause, logger } = this.#deps;
    const isPaused = Number(await scripts.item("standing", fleetTag, [agentType])) > 0;
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    logger.info({ agentType }, isPaused ? "paused: no further task is taken" : "resumed");
    onPause(isPaused);
  }

  async #readAgain(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    await this.read().catch((error: unknown) => this.#deps.logger.debug({ err: error }, "orders not read"));
    this.#isReading = false;
  }
}
